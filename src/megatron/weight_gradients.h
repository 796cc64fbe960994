// What a linear layer's backward gives as its weight's gradient (Megatron-Core 0.16.1, tensor_parallel/layers.py;
// TransformerEngine 2.20.2, pytorch/module/base.py, get_dummy_wgrad).
#pragma once

#include <vector>

#include "trace/ops.h"

namespace peakmem::mcore {

/// A tensor of its own for each; or, where products add to the buffer of gradients themselves
/// (gradient_accumulation_fusion), one that nobody reads, the same for all weights of a shape, made once and kept.
class WeightGradients {
 public:
  explicit WeightGradients(bool fused) : fused_(fused) {}
  Tensor make(const Tensor& weight, const char* product);
  /// That of several weights of one shape, as one tensor of `all`.
  Tensor make_of_all(const Tensor& weight, const Shape& all, const char* product);

 private:
  Tensor kept(const Tensor& weight);
  bool fused_;
  std::vector<Tensor> kept_;
};

}  // namespace peakmem::mcore
