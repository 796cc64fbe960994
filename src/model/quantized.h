// Frozen weights in 4 bits, as QLoRA keeps them (bitsandbytes 0.50, nn/modules.py Linear4bit, functional.py
// quantize_4bit): blocks of 64 elements share a constant; the constants themselves are in fp32, or, with double
// quantization, in 8 bits with a constant for each 256 of them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "trace/tape.h"

namespace peakmem {

struct Builder;

/// How the frozen linear layers are stored; the two kinds of 4 bits differ in what their codes stand for.
enum class Quantize : uint8_t { kNone, kNf4, kFp4, kInt8 };

constexpr bool in_4_bits(Quantize quantize) { return quantize == Quantize::kNf4 || quantize == Quantize::kFp4; }

/// The weight [out, in] of one linear layer in 4 bits; empty where it is not quantized.
class QuantizedWeight {
 public:
  QuantizedWeight() = default;
  /// `dequantizes`: the forward pass makes the weight whole, its rows being many.
  QuantizedWeight(const Builder& b, Expr in, Expr out, bool dequantizes);

  explicit operator bool() const { return static_cast<bool>(packed_); }
  /// Linear4bit.forward: the input in the compute dtype, the product, and back in the input's dtype. The weight is
  /// dequantized for the backward pass, and for the forward pass where rows are many. The first call casts the bias.
  Tensor operator()(Tensor input, const Tensor& bias) const;

 private:
  Tensor constants() const;
  Tensor dequantized(const Tensor& constants) const;
  Tensor multiplied(const Tensor& input) const;
  Tensor product(const Tensor& input) const;

  Tensor packed_;
  Tensor block_constants_;
  std::vector<Tensor> tables_;  // what is looked up, and the constants of the constants
  bool nested_ = false;
  bool dequantizes_forward_ = false;
  DType compute_ = DType::kFloat32;
  Shape weight_;
};

/// The table of 8-bit codes that a process makes once, where double quantization needs it.
Tensor shared_codes(const Builder& b);

}  // namespace peakmem
