// Leaves of a graph that are no parameters, such as the input embeddings of a checkpointed model.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// Leaves that are no parameters; they go with the gradients that they gathered.
class Leaves {
 public:
  Leaves() = default;
  explicit Leaves(std::vector<Tensor> tensors) : tensors_(std::move(tensors)) {}
  Leaves(const Leaves&) = delete;
  Leaves& operator=(const Leaves&) = delete;
  Leaves& operator=(Leaves&& other) noexcept {
    std::swap(tensors_, other.tensors_);
    other.drop();
    return *this;
  }
  ~Leaves() { drop(); }

 private:
  void drop();
  std::vector<Tensor> tensors_;
};

}  // namespace peakmem
