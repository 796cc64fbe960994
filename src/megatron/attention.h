// Megatron-Core's local attention (0.16.1, transformer/attention.py, dot_product_attention.py).
#pragma once

#include <array>

#include "megatron/modules.h"
#include "megatron/te_ring_attention.h"

namespace peakmem::mcore {

/// What every layer is told beside the hidden states: a mask [b, 1, s, s] or none, and rotary angles [s, 1, 1, d] or
/// none.
struct LayerInput {
  Tensor mask;
  Tensor rotary;
};

/// SelfAttention around a DotProductAttention.
class SelfAttention {
 public:
  explicit SelfAttention(const Builder& b);
  Tensor operator()(const Tensor& hidden_states, const LayerInput& given) const;
  const Tensor& bias() const { return linear_proj_.bias(); }

 private:
  /// Queries [s, b, heads, d], keys and values [s, b, groups, d].
  std::array<Tensor, 3> query_key_value(const Tensor& hidden_states) const;
  Tensor core_attention(Tensor query, Tensor key, Tensor value, const Tensor& mask) const;
  Tensor te_core_attention(Tensor query, Tensor key, Tensor value, const Tensor& mask) const;
  /// The core attention that the spec has, or none of its activations kept.
  Tensor attend(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask) const;
  Tensor scale_mask_softmax(const Tensor& product, const Shape& sizes, Tensor mask) const;
  bool has_fused_softmax() const;

  const Builder& b_;
  int64_t heads_;  // of this rank
  int64_t groups_;
  Ring ring_;
  RowParallelLinear linear_proj_;
  ColumnParallelLinear linear_qkv_;
  std::vector<Normalization> head_norms_;  // of queries and of keys, where there are any
};

}  // namespace peakmem::mcore
