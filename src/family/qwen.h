// What Qwen3's attention is made of, for its mixtures too (transformers 5.23, models/qwen3/modeling_qwen3.py).
#pragma once

#include "family/llama.h"

namespace peakmem {

/// Qwen3Attention: a norm over each head of q and k.
struct NormedAttention : SelfAttention {
  RmsNorm q_norm, k_norm;

  explicit NormedAttention(const Builder& builder);
  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const;
};

}  // namespace peakmem
