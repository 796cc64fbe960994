// The parts that Gemma's families share (transformers 5.23, models/gemma/modeling_gemma.py and
// models/gemma3/modeling_gemma3.py).
#pragma once

#include "family/llama.h"
#include "family/towers.h"

namespace peakmem {

/// GemmaRMSNorm: x * rsqrt(mean(x^2) + eps) * (1 + weight) in fp32, cast back at the end.
class ShiftedNorm {
 public:
  ShiftedNorm(const Builder& b, const char* name, Expr width);
  Tensor operator()(const Tensor& input) const;

 private:
  const Builder& b_;
  const char* name_;
  Tensor weight_;
};

/// How Gemma 3 sees: SigLIP's patches, pooled and projected; an image's tokens see each other.
extern const Sight kGemma3Sight;
/// Refuses images that its projector cannot pool.
void fit_gemma3_projector(Fields& fields, const Description& description);

}  // namespace peakmem
