#include "trace/image_ops.h"

#include "trace/ops.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

// Inputs: self 0, source 1. What is taken out of a gradient by a mask is found first: three indices an element
// (masked_select of IndexKernel.cpp, through index of TensorAdvancedIndexing.cpp, torch 2.13).
void masked_scatter_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  const Tensor mask = g.saved(0);
  if (g.needs(0)) g.out[0] = tape.make(preserved(g.in[0].shape()), g.in[0].dtype(), "masked_fill");
  if (!g.needs(1)) return;
  constexpr int64_t kIndices = int64_t{3} * 8;
  const KeptShape& source = g.input_shape(1);
  const Tensor found = workspace(tape, kIndices * source.elements(), "masked_scatter_backward");
  g.out[1] = tape.make(contiguous(source), g.in[0].dtype(), "masked_scatter_backward");
}
const Op kMaskedScatter = {"masked_scatter", masked_scatter_backward};

// Input and gradient are read without gaps (avg_pool2d_backward_out_cuda, AveragePool2d.cu).
void avg_pool2d_backward(Gradients& g) {
  constexpr const char* kName = "avg_pool2d_backward";
  Tape& tape = g.in[0].tape();
  const bool is_copied = !is_contiguous(g.in[0].shape());
  g.out[0] = tape.make(contiguous(g.input_shape(0)), g.in[0].dtype(), kName);
  const Tensor gradient = workspace(tape, is_copied ? dense_bytes(g.in[0]) : Expr(0), kName);
}
const Op kAvgPool2d = {"avg_pool2d", avg_pool2d_backward};

// grad * (self / norm).masked_fill_(norm == 0, 0) (linalg_vector_norm_backward in FunctionsManual.cpp, torch 2.13).
void norm_backward(Gradients& g) {
  const Tensor quotient = div(g.saved(0), g.saved(1));
  const Tensor is_zero = g.in[0].tape().make(g.saved(1).shape(), DType::kBool, "eq");
  g.out[0] = mul(g.in[0], quotient);
}
const Op kNorm = {"linalg_vector_norm", norm_backward};

// The parts' gradients are views of the whole's, which are stacked.
void join_rows_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "stack");
}
const Op kJoinRows = {"cat", join_rows_backward};

void upsample_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "upsample_bilinear2d_backward");
}
const Op kUpsample = {"upsample_bilinear2d", upsample_backward};

}  // namespace

Tensor upsample_bilinear(Tensor input) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kUpsample, {&x});
  Tensor result = tape.make(contiguous(x.shape()), x.dtype(), kUpsample.name);
  Tape::attach(node, result);
  return result;
}

Tensor norm_last(Tensor self) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  const DType dtype = tape.autocast.enabled ? DType::kFloat32 : x.dtype();
  Node* node = tape.record(kNorm, {&x});
  tape.save(node, x);
  Tensor result = tape.make(reduced_last(x.shape()), dtype, kNorm.name);
  Tape::attach(node, result);
  tape.save_output(node, result);
  return result;
}

Tensor join_rows(Tensor input) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kJoinRows, {&x});
  Tensor result = tape.make({x.size(0) * x.size(1), x.size(2)}, x.dtype(), kJoinRows.name);
  Tape::attach(node, result);
  return result;
}

// The kernel counts the places before each one, of the mask as large as what it is laid over (masked_scatter__cuda,
// IndexKernel.cpp).
Tensor masked_scatter(Tensor self, const Tensor& mask, const Tensor& source) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kMaskedScatter, {&x, &source});
  tape.save(node, mask);
  Tensor result = tape.make(preserved(x.shape()), x.dtype(), kMaskedScatter.name);
  constexpr int64_t kCount = 8;
  const Tensor counts = workspace(tape, kCount * x.shape().elements(), kMaskedScatter.name);
  const Tensor places = workspace(tape, x.shape().elements(), kMaskedScatter.name);
  Tape::attach(node, result);
  return result;
}

Tensor avg_pool2d(Tensor input, Expr rows, Expr columns) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kAvgPool2d, {&x});
  tape.save(node, x);
  Tensor result = tape.make({x.size(0), x.size(1), rows, columns}, x.dtype(), kAvgPool2d.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
