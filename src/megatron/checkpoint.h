// tensor_parallel.checkpoint of Megatron-Core (0.16.1, tensor_parallel/random.py): inputs are kept, the rest is run
// again in the backward pass.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <utility>

#include "trace/tape.h"

namespace peakmem::mcore {

/// What is checkpointed is given; empty where it takes fewer.
using CheckpointInputs = std::array<Tensor, 4>;
using CheckpointedFunction = std::function<Tensor(const CheckpointInputs& inputs)>;

/// The input of a checkpoint's second run: a leaf with its gradient, for as long as anybody names it.
class RecomputedLeaf {
 public:
  explicit RecomputedLeaf(Tensor value) : value_(std::move(value)) {}
  ~RecomputedLeaf() {
    if (value_->is_leaf && value_->node != nullptr) value_->node->gradient.reset();
  }
  RecomputedLeaf(const RecomputedLeaf&) = delete;
  RecomputedLeaf& operator=(const RecomputedLeaf&) = delete;

 private:
  Tensor value_;
};
/// That of the checkpoint that runs again, for who keeps a part of the graph that ends in it; null where none runs.
struct RecomputedLeaves {
  std::shared_ptr<const RecomputedLeaf> current;
};

/// `ranks` above 1: of the first input each of so many ranks keeps a part (distribute_saved_activations), in the very
/// tensor that the caller names.
Tensor checkpoint(Tape& tape, const CheckpointedFunction& run, const CheckpointInputs& inputs, int64_t ranks = 1,
                  RecomputedLeaves* leaves = nullptr);

/// tensor.data = data: whoever names the tensor sees the other storage from now on.
void set_data(const Tensor& tensor, Tensor data);

}  // namespace peakmem::mcore
