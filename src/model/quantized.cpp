#include "model/quantized.h"

#include "model/modules.h"

namespace peakmem {
namespace {

constexpr int64_t kBlock = 64;
constexpr int64_t kNestedBlock = 256;
constexpr int64_t kCodes = 16;
constexpr int64_t kByteCodes = 256;

const Op kMatMul4Bit = {"MatMul4Bit", run_function};

}  // namespace

QuantizedWeight::QuantizedWeight(const Builder& b, Expr in, Expr out, bool dequantizes)
    : nested_(b.structure.double_quant),
      dequantizes_forward_(dequantizes),
      compute_(b.structure.packed),
      weight_({out, in}) {
  if (!in_4_bits(b.structure.quantize)) return;
  const Expr elements = out * in;
  const Expr blocks = ceil_div(elements, kBlock);
  packed_ = b.tape.parameter({ceil_div(elements, 2), 1}, DType::kUInt8, "weight", false);
  Program& program = b.tape.program;  // counted as weights, not as the bytes they are packed in
  program.parameters += program.turns[static_cast<size_t>(b.tape.turn)].count * (elements - packed_.shape().elements());
  block_constants_ = b.tape.buffer({blocks}, nested_ ? DType::kUInt8 : DType::kFloat32, "absmax");
  tables_.push_back(b.tape.buffer({kCodes}, DType::kFloat32, "code"));
  if (!nested_) return;
  tables_.push_back(b.tape.buffer({ceil_div(blocks, kNestedBlock)}, DType::kFloat32, "nested_absmax"));
  tables_.push_back(b.tape.buffer({}, DType::kFloat32, "offset"));
  tables_.push_back(b.tape.buffer({kByteCodes}, DType::kFloat32, "nested_code"));  // copied for each weight
}

Tensor shared_codes(const Builder& b) {
  return b.structure.double_quant ? b.tape.buffer({kByteCodes}, DType::kFloat32, "dynamic_map") : Tensor();
}

/// The blocks' constants in fp32.
Tensor QuantizedWeight::constants() const {
  if (!nested_) return block_constants_;
  return packed_.tape().make(block_constants_.shape(), DType::kFloat32, "dequantize_blockwise");
}

Tensor QuantizedWeight::dequantized(const Tensor& constants) const {
  return constants.tape().make(weight_, compute_, "dequantize_4bit");
}

/// _dequant_linear_fallback of backends/cuda/ops.py; otherwise one kernel does it without a weight in memory.
Tensor QuantizedWeight::multiplied(const Tensor& input) const {
  Tensor unshifted, shifted, weight;
  if (dequantizes_forward_) {
    unshifted = constants();
    if (nested_) shifted = constants();
    weight = dequantized(unshifted);
  }
  Tensor result = input.tape().make(contiguous(narrowed(input.shape(), -1, weight_[0])), compute_, "gemm_4bit");
  count_product(result, input.shape().rows(), weight_[1], weight_[0]);
  return result;
}

Tensor QuantizedWeight::product(const Tensor& input) const {
  Tape& tape = input.tape();
  Node* node = tape.record(kMatMul4Bit, {&input});
  const Tensor result = multiplied(input);
  if (node == nullptr) return result;
  node->function = [this](Gradients& g) {
    Tensor blocks = constants();
    const Tensor weight = dequantized(blocks);
    blocks.reset();
    g.out[0] = linear(g.in[0], transpose(weight, 0, 1), Tensor());
  };
  Tape::attach(node, result);
  return result;
}

Tensor QuantizedWeight::operator()(Tensor input, const Tensor& bias) const {
  const DType dtype = input.dtype();
  const Tensor x = to(std::move(input), compute_);
  if (bias) x.tape().cast_for_good(bias, compute_);
  return to(product(x), dtype);
}

}  // namespace peakmem
