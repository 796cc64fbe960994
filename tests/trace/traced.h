// What a forward and a backward pass through a few ops make.
#pragma once

#include <algorithm>
#include <functional>
#include <string_view>

#include "trace/engine.h"
#include "trace/ops.h"

namespace peakmem::testing {

/// A leaf that wants a gradient, in fp32 or another dtype.
inline Tensor leaf(Tape& tape, const Shape& shape, DType dtype = DType::kFloat32) {
  return tape.leaf(tape.make(shape, dtype, "randn"));
}

/// The trace of a sum's forward and backward pass.
inline Program traced(const std::function<Tensor(Tape&)>& forward) {
  Tape tape;
  tape.begin_phase(1, 0, "full");
  run_backward(tape, sum_all(forward(tape)), Tensor());
  return tape.finish();
}

/// How many tensors of that name it made.
inline int64_t made(const Program& program, std::string_view name) {
  return std::count_if(program.storages.begin(), program.storages.end(),
                       [&](const Storage& storage) { return name == storage.made_by; });
}

}  // namespace peakmem::testing
