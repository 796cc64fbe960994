#include "model/int8.h"

#include "model/modules.h"
#include "size/terms.h"

namespace peakmem {
namespace {

constexpr int64_t kRowBytes = 4;
const Op kMatMul8bitLt = {"MatMul8bitLt", run_function};

/// Rows in 8 bits, each with a scale.
struct Int8Rows {
  Tensor values;
  Tensor scales;
};

/// int8_vectorwise_quant: of fp16 rows, in which it looks for outliers on the way.
Int8Rows quantized(const Tensor& rows) {
  Tape& tape = rows.tape();
  const Shape shape = contiguous(rows.shape());
  const Tensor half = rows.dtype() == DType::kFloat16 ? rows : tape.make(shape, DType::kFloat16, "_to_copy");
  Int8Rows made;
  made.scales = tape.make(reduced_last(shape), DType::kFloat32, "int8_vectorwise_quant");
  made.values = tape.make(shape, DType::kInt8, "int8_vectorwise_quant");
  Tensor magnitudes = tape.make(shape, DType::kFloat16, "abs");
  const Tensor outliers = tape.make(shape, DType::kBool, "ge");
  magnitudes.reset();
  const Tensor any = tape.make({}, DType::kBool, "any");
  return made;
}

}  // namespace

Int8Weight::Int8Weight(const Builder& b, Expr in, Expr out) {
  if (b.structure.quantize != Quantize::kInt8) return;
  packed_ = b.tape.parameter({out, in}, DType::kInt8, "weight", false);
  scales_ = b.tape.buffer({out}, DType::kFloat32, "SCB");
  is_aligned_ = evaluate(in, b.dims.symbol_values) % kRowBytes == 0;
}

/// _int8_linear_matmul_impl where a row is no multiple of 4 bytes: the product is one of fp32 (which autocast casts
/// again), made integers.
void multiply_in_fp32(const Tensor& rows, const Tensor& weight, const Tensor& sums) {
  Tape& tape = rows.tape();
  Tensor left = tape.make(rows.shape(), DType::kFloat32, "_to_copy");
  Tensor right = tape.make(weight.shape(), DType::kFloat32, "_to_copy");
  const Tensor product = linear(left, right, Tensor());
  left.reset();
  right.reset();
  const Tensor whole = tape.make(sums.shape(), DType::kInt32, "_to_copy");
}

/// int8_mixed_scaled_mm where no column has an outlier: 32-bit sums, scaled to fp16.
Tensor Int8Weight::product(const Tensor& rows) const {
  Tape& tape = rows.tape();
  const Int8Rows quantized_rows = quantized(rows);
  const Shape shape = contiguous(narrowed(rows.shape(), -1, packed_.size(0)));
  const Tensor sums = tape.make(shape, DType::kInt32, "int8_linear_matmul");
  count_product(sums, shape.rows(), packed_.size(1), packed_.size(0));
  if (!is_aligned_) multiply_in_fp32(quantized_rows.values, packed_, sums);
  const Tensor scaled = tape.make(shape, DType::kFloat16, "int8_mm_dequant");
  return rows.dtype() == DType::kFloat16 ? scaled : tape.make(shape, rows.dtype(), "_to_copy");
}

/// The weight made whole in the input's dtype, and the product with it.
Tensor Int8Weight::gradient(const Tensor& of_result, DType dtype) const {
  Tape& tape = of_result.tape();
  const Tensor output = contiguous(of_result);
  const Tensor whole = tape.make(packed_.shape(), dtype, "_to_copy");
  {
    const Tensor scales = tape.make({packed_.size(0), 1}, DType::kFloat32, "mul");
  }
  return linear(to(output, dtype), transpose(whole, 0, 1), Tensor());
}

Tensor Int8Weight::operator()(Tensor input, const Tensor& bias) const {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  if (bias) tape.cast_for_good(bias, x.dtype());  // by the first call
  Node* node = tape.record(kMatMul8bitLt, {&x});
  const Tensor rows = tape.look(x, x.shape(), true);  // in no graph
  const Tensor result = product(rows);
  if (node == nullptr) return result;
  node->function = [weight = *this, rows](Gradients& g) { g.out[0] = weight.gradient(g.in[0], rows.dtype()); };
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
