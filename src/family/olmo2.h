// The norm of OLMo 2, which others have too (transformers 5.23, models/olmo2/modeling_olmo2.py).
#pragma once

#include "model/modules.h"

namespace peakmem {

/// What Liger makes of a norm (liger-kernel 0.8.5, apply_liger_kernel_to_olmo2): those of q and k it leaves; of the
/// others only the last writes its gradient over the incoming one.
enum class Patched : uint8_t { kLeft, kOutOfPlace, kInPlace };

/// Olmo2RMSNorm: LlamaRMSNorm, but the weight is multiplied in before the cast back.
class Olmo2RmsNorm {
 public:
  Olmo2RmsNorm(const Builder& b, const char* name, Expr width, Patched patched = Patched::kInPlace)
      : b_(b), name_(name), patched_(patched) {
    const Scope scope(b.tape, name);
    weight_ = b.norm_parameter({width}, "weight");
  }

  Tensor operator()(const Tensor& input) const {
    const Scope scope(weight_.tape(), name_);
    if (b_.structure.kernels.norm == Kernel::kFused && patched_ != Patched::kLeft)
      return fused_norm(b_, input, weight_, patched_ == Patched::kInPlace);
    Tensor hidden_states = to(input, DType::kFloat32);
    const Tensor variance = mean_last(pow_scalar(hidden_states));
    hidden_states = mul(hidden_states, rsqrt(add_scalar(variance)));
    return to(mul(weight_, hidden_states), input.dtype());
  }

 private:
  const Builder& b_;
  const char* name_;
  Patched patched_;
  Tensor weight_;
};

}  // namespace peakmem
