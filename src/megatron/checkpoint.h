// tensor_parallel.checkpoint of Megatron-Core (0.16.1, tensor_parallel/random.py): inputs are kept, the rest is run
// again in the backward pass.
#pragma once

#include <array>
#include <functional>

#include "trace/tape.h"

namespace peakmem::mcore {

/// What is checkpointed is given; empty where it takes fewer.
using CheckpointInputs = std::array<Tensor, 4>;
using CheckpointedFunction = std::function<Tensor(const CheckpointInputs& inputs)>;

/// `ranks` above 1: of the first input each of so many ranks keeps a part (distribute_saved_activations), in the very
/// tensor that the caller names.
Tensor checkpoint(Tape& tape, const CheckpointedFunction& run, const CheckpointInputs& inputs, int64_t ranks = 1);

/// tensor.data = data: whoever names the tensor sees the other storage from now on.
void set_data(const Tensor& tensor, Tensor data);

}  // namespace peakmem::mcore
