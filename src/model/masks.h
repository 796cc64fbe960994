// The small integer work before the layers: positions and attention masks (transformers 5.23, masking_utils.py).
#pragma once

#include "model/modules.h"

namespace peakmem {

/// torch.arange(T) + past tokens: [1, T], int64.
Tensor position_ids(const Builder& b);

/// create_causal_mask or, with `windowed`, create_sliding_window_causal_mask without a padding mask: empty where the
/// kernel can do without (sdpa, sequence inside the window), boolean [B, 1, T, T] for sdpa, additive for eager.
Tensor causal_mask(const Builder& b, bool windowed, DType dtype, bool has_positions = true);

/// create_bidirectional_mask of a mask of ones over [B, T, C]: looks for padding, finds none, and makes no mask.
void look_for_padding(const Tensor& hidden_states);

/// find_packed_sequence_indices: do the positions form one sequence? Options of every model that has positions.
void check_for_packed_sequences(const Builder& b);

/// The masks of a decoder's layers by kind; empty where there is no such layer or the kernel can do without.
struct DecoderMasks {
  Tensor full;
  Tensor windowed;
};
DecoderMasks decoder_masks(const Builder& b, DType dtype);

}  // namespace peakmem
