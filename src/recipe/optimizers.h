// The optimizers that are known: a row each, saying what it keeps and what its step allocates.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "recipe/recipe.h"

namespace peakmem {

/// What a tensor of an optimizer is as large as.
enum class Like : uint8_t {
  kParameter,      // the parameter, in its dtype
  kParameterFull,  // the parameter, in fp32
  kRows,           // all dimensions but the last
  kColumns,        // all dimensions but the last but one
  kRowsFull,       // the same in fp32
  kColumnsFull,
  kScalar,      // one fp32 number
  kMatrices,    // all dimensions but the last two, one number for each matrix
  kInBits,      // fp32, or a byte for each element of the parameter: as its states are Kept, which may page this one
  kBlocksFull,  // one fp32 number for each block of 256 elements
  kHalf,        // the parameter in bf16
  kGram,        // the smaller Gram matrix of a matrix, in bf16
  kCodes,       // the 256 fp32 numbers that bytes stand for, made once for all parameters
};

/// When a piece of state is made: with the optimizer, before the first step's updates, or by the update itself.
enum class Made : uint8_t { kConstruction, kFirstStep, kInUpdate };

/// A tensor kept for each parameter from step to step.
struct State {
  /// Of which parameters: by their rank (2 and more, or less), or by how their states are kept (see Kept).
  enum class Of : uint8_t { kAll, kMatrices, kVectors, kIn8Bits };

  std::string_view name;
  Like like;
  Made made = Made::kFirstStep;
  Of of = Of::kAll;
  uint8_t times = 1;  // as many stacked in one tensor
};

/// Elements that one scale of a state in 8 bits stands for.
constexpr int64_t kStateBlock = 256;

/// What an optimizer does with one parameter; numbers decide, which a trace of formulas cannot ask for.
struct Kept {
  bool taken = true;          // it trains it; another one does otherwise
  bool in_8_bits = false;     // a byte for each element, scaled by blocks
  bool paged = false;         // in managed memory
  bool whole_blocks = false;  // its elements fill all blocks of 256
};

/// One line of an update: a name is bound to a new tensor (what it held goes after), let go, or takes another's tensor.
///
/// Names outlive a parameter's update, as Python's loop variables do, and go when the step returns.
struct Temporary {
  enum class Action : uint8_t { kBind, kDrop, kTake, kMakeState } action;
  uint8_t name = 0;  // 0 to 7
  Like like = Like::kParameter;
  const char* op = "";
  /// For parameters of which dtype: any, half precision, or all but bf16.
  enum class Only : uint8_t { kAny, kHalf, kNoBfloat16 } only = Only::kAny;
  uint8_t other = 0;     // of kTake: the name whose tensor it takes
  bool reduces = false;  // of kBind: what is bound is a reduction of a tensor of the gradient's shape
};

/// The temporaries of one implementation: per parameter (loop), or of all parameters at once (foreach), matrices first.
struct Update {
  bool available = false;
  std::span<const Temporary> matrices;
  std::span<const Temporary> vectors;
  std::span<const State> extra_state;  // beyond the optimizer's own, such as step counters on the GPU
};

/// An optimizer as PyTorch (or transformers) implements it.
struct Optimizer {
  std::string_view name;
  std::string_view title;
  std::string_view source;
  std::span<const State> state;
  Update loop;
  Update foreach;
  Update fused;
  OptimizerImpl usual;         // what PyTorch picks on CUDA
  bool in_8_bits = false;      // bitsandbytes keeps states of many elements in 8 bits
  bool pages = false;          // bitsandbytes keeps states of many elements in managed memory
  bool takes_shards = true;    // it runs on DTensors
  bool takes_bfloat16 = true;  // it has kernels for all gradients in bf16
  bool takes_others = true;    // it trains what is no matrix
};

std::span<const Optimizer> optimizers();
const Optimizer* find_optimizer(std::string_view name);
/// How an optimizer keeps the states of a parameter of that many elements; `full`: in 32 bits, however many.
Kept kept(const Optimizer& optimizer, int64_t elements, bool full);
const Update& update_of(const Optimizer& optimizer, OptimizerImpl impl);

}  // namespace peakmem
