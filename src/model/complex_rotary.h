// Positions as complex numbers: DeepSeek-V2 and Llama 4.
#pragma once

#include "model/rotary.h"

namespace peakmem {

/// DeepseekV2RotaryEmbedding: a turn of every pair as a complex number, [1, T, rotary / 2], which a Rotation has as
/// cos.
class ComplexRotary {
 public:
  explicit ComplexRotary(const Builder& builder);
  Rotation operator()(const Tensor& hidden_states, const Tensor& position_ids) const;

 private:
  const Builder& b_;
  Tensor inv_freq_, original_inv_freq_;
};

/// A tensor's last features, in pairs, as complex numbers: cast to fp32 where it is none.
Tensor in_complex_pairs(const Tensor& x);

}  // namespace peakmem
