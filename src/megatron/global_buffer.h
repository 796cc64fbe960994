// Megatron's global memory buffer: room that is taken once and used again (megatron/core/utils.py, GlobalMemoryBuffer).
#pragma once

#include <array>

#include "trace/ops.h"

namespace peakmem::mcore {

/// One buffer for each dtype, as large as the largest that was asked for. What it gives is not to be kept.
class GlobalBuffer {
 public:
  explicit GlobalBuffer(Tape& tape) : tape_(tape) {}
  Tensor get(const Shape& shape, DType dtype);

 private:
  Tape& tape_;
  std::array<Tensor, kDTypes.size()> kept_;
};

}  // namespace peakmem::mcore
