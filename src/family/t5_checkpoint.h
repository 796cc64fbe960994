// Reentrant checkpoints of T5's blocks, which take and give more than hidden states (torch.utils.checkpoint of torch
// 2.13, CheckpointFunction, under transformers 5.23, models/t5/modeling_t5.py).
#pragma once

#include <array>
#include <functional>
#include <memory>

#include "trace/tape.h"

namespace peakmem {

/// What a block hands to the next one.
struct T5BlockState {
  Tensor hidden_states;
  Tensor position_bias;
  Tensor encoder_decoder_position_bias;
};

/// What a stack hands a block by position: what the block before gave, the mask and the encoder's output.
struct T5BlockArguments {
  T5BlockState before;
  Tensor mask;
  Tensor encoder_hidden_states;
};

using T5BlockCall = std::function<T5BlockState(const T5BlockArguments& arguments)>;

/// The gradients of both biases on their way from the blocks behind to the first; the last block gets zeros.
using T5BiasGradients = std::shared_ptr<std::array<Tensor, 2>>;

/// Runs a block without a graph; its node's backward runs it again, and a backward pass from all that it gave.
T5BlockState checkpoint_t5_block(const T5BlockCall& block, const T5BlockArguments& arguments,
                                 const T5BiasGradients& gradients);

}  // namespace peakmem
