// How a model is trained: everything that is a choice and not a size of the model.
#pragma once

#include <cstdint>

#include "model/description.h"

namespace peakmem {

struct Optimizer;

/// Dtype of weights and of the forward pass; mixed is autocast over fp32 weights.
enum class Precision : uint8_t { kFp32, kBf16, kFp16, kBf16Mixed, kFp16Mixed };

/// Which of torch.optim's implementations runs.
enum class OptimizerImpl : uint8_t { kLoop, kForeach, kFused };

/// A training recipe. Sizes are at least 1.
struct Recipe {
  int64_t batch = 8;
  int64_t seq = 1024;
  int64_t target_seq = 0;  // of an encoder-decoder, else 0
  int64_t accumulate = 1;
  Precision precision = Precision::kFp32;
  Attention attention = Attention::kSdpa;
  Checkpointing checkpointing = Checkpointing::kNone;
  const Optimizer* optimizer = nullptr;
  OptimizerImpl impl = OptimizerImpl::kForeach;
  bool clip = false;
};

constexpr DType weights_dtype(Precision precision) {
  return precision == Precision::kBf16   ? DType::kBFloat16
         : precision == Precision::kFp16 ? DType::kFloat16
                                         : DType::kFloat32;
}
constexpr bool is_mixed(Precision precision) {
  return precision == Precision::kBf16Mixed || precision == Precision::kFp16Mixed;
}

}  // namespace peakmem
