// What a linear layer's backward gives as its weight's gradient (Megatron-Core 0.16.1, tensor_parallel/layers.py;
// TransformerEngine 2.20.2, pytorch/module/base.py, get_dummy_wgrad).
#pragma once

#include <cstdint>
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

/// Products of the head's weight that wait for the end of a pipeline (defer_embedding_wgrad_compute): of the first
/// micro-batches, or of all where the limit is 0, the inputs and their gradients.
class DeferredProducts {
 public:
  explicit DeferredProducts(int64_t limit) : limit_(limit) {}
  void keep_input(const Tensor& input) { keep(inputs_, input); }
  /// Whether this gradient waits.
  bool keep_gradient(const Tensor& gradient) { return keep(gradients_, gradient); }
  void finish() {
    inputs_.clear();
    gradients_.clear();
  }

 private:
  bool keep(std::vector<Tensor>& kept, const Tensor& tensor) const {
    if (limit_ > 0 && static_cast<int64_t>(kept.size()) >= limit_) return false;
    kept.push_back(tensor);
    return true;
  }
  int64_t limit_;
  std::vector<Tensor> inputs_, gradients_;
};

}  // namespace peakmem::mcore
