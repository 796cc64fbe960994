// The core attention of TransformerEngine (2.20.2, pytorch/attention/dot_product_attention/backends.py) on queries
// [s, b, heads, d] and keys and values [s, b, groups, d], causal, in half precision: the context [s, b, heads * d].
#pragma once

#include <array>

#include "trace/ops.h"

namespace peakmem::mcore {

/// SplitAlongDim (pytorch/utils.py) along the last dimension: gradients that lie side by side in one tensor already are
/// not copied.
std::array<Tensor, 3> split_along_last(Tensor input, const std::array<Expr, 3>& lengths);

/// fused_apply_rotary_pos_emb (pytorch/attention/rope.py): a turned tensor without gaps, forward and backward; of what
/// came only the angles [s, 1, 1, d] are kept.
Tensor te_rotary(Tensor input, const Tensor& angles);

/// UnfusedDotProductAttention: all scores [b, heads, s, s] as products, softmax and dropout of their own. `mask`, of
/// the loader, is joined with the causal one in every layer; it may be empty.
Tensor te_unfused_attention(Tensor query, Tensor key, Tensor value, const Tensor& mask, double p);

/// FlashAttention with the flash-attn package: copies laid out by batch, and of the context one back.
Tensor te_flash_attention(Tensor query, Tensor key, Tensor value);

/// FusedAttention, cuDNN's: reads queries, keys and values where they lie if one product made them side by side, else
/// from copies without gaps. Its kernel's own workspace is not counted.
Tensor te_fused_attention(Tensor query, Tensor key, Tensor value);

}  // namespace peakmem::mcore
