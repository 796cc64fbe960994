// Frozen weights in 8 bits: LLM.int8 (bitsandbytes 0.50.2, nn/modules.py Linear8bitLt, autograd/_functions.py
// MatMul8bitLt, backends/cuda/ops.py), as BitsAndBytesConfig(load_in_8bit=True) has them: a scale for each row of the
// weight, and outliers looked for in every input. That an input has none is taken for granted: where it has, their
// columns are multiplied in 16 bits besides.
#pragma once

#include <string_view>

#include "trace/tape.h"

namespace peakmem {

struct Builder;

/// The weight [out, in] of one linear layer in 8 bits; empty where it is not quantized.
class Int8Weight {
 public:
  Int8Weight() = default;
  Int8Weight(const Builder& b, Expr in, Expr out);

  explicit operator bool() const { return static_cast<bool>(packed_); }
  /// Linear8bitLt.forward. What it is applied to is kept as an attribute of its node and not as a saved tensor: up to
  /// the end of the graph, under a checkpoint too.
  Tensor operator()(Tensor input, const Tensor& bias) const;

 private:
  Tensor product(const Tensor& rows) const;
  Tensor gradient(const Tensor& of_result, DType dtype) const;

  Tensor packed_;
  Tensor scales_;
  bool is_aligned_ = true;  // to the 4 bytes in which cuBLASLt takes rows
};

}  // namespace peakmem
