// Masks under which tokens of a block see each other, whichever comes first (transformers 5.23, masking_utils.py,
// blockwise_overlay).
#pragma once

#include "model/modules.h"

namespace peakmem {

/// create_causal_mask with block_sequence_ids [B, T]: boolean [B, 1, T, T] for sdpa, additive for eager.
Tensor block_mask(const Builder& b, DType dtype);
/// The same within the description's window, as vmap makes it (Gemma 3's create_masks_for_vision_model).
Tensor windowed_block_mask(const Builder& b, DType dtype);

}  // namespace peakmem
