#include "trace/complex.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

Tensor seen_as(const Tensor& x, const Shape& shape, DType dtype) {
  Tensor view = x.tape().look(x, shape, true);
  view->dtype = dtype;
  return view;
}

Shape without_last(const Shape& shape) { return merged(narrowed(shape, -1, 1), shape.rank - 2, 2); }

void view_as_complex_backward(Gradients& g) {
  const Shape pairs = split(g.in[0].shape(), g.in[0].shape().rank - 1, g.in[0].size(-1), 1);
  g.out[0] = seen_as(g.in[0], narrowed(pairs, -1, 2), DType::kFloat32);
}
const Op kViewAsComplex = {"view_as_complex", view_as_complex_backward};

void view_as_real_backward(Gradients& g) { g.out[0] = seen_as(g.in[0], g.input_shape(0), DType::kComplex64); }
const Op kViewAsReal = {"view_as_real", view_as_real_backward};

// grad * other.conj(): the conjugate is made for the product.
void mul_complex_backward(Gradients& g) {
  const Tensor other = g.saved(0);
  Tape& tape = other.tape();
  const Tensor conjugate = tape.make(preserved(other.shape()), other.dtype(), "conj");
  g.out[0] = tape.make(broadcast(g.in[0].shape(), other.shape()), other.dtype(), "mul");
}
const Op kMulComplex = {"mul", mul_complex_backward};

// CopySlices around CopyBackwards (torch/csrc/autograd/custom_function.cpp and functions/tensor.cpp, torch 2.13): the
// gradient of the whole, a copy of the part, and zeros that are put in the part's place.
void copy_into_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  const DType dtype = g.in[0].dtype();
  const Tensor result = tape.make(preserved(g.in[0].shape()), dtype, "new_empty_strided");
  const Shape part = narrowed(g.in[0].shape(), -1, g.node.kernel_size);
  const Tensor slice = tape.make(contiguous(part), dtype, "clone");
  if (g.needs(0)) {
    const Tensor zeros = tape.make(contiguous(part), dtype, "zeros");
    g.out[0] = result;
  }
  if (g.needs(1)) g.out[1] = slice;
}
const Op kCopyInto = {"copy_", copy_into_backward};

}  // namespace

Tensor view_as_complex(Tensor input) {
  const Tensor x = std::move(input);
  Node* node = x.tape().record(kViewAsComplex, {&x});
  Tensor result = seen_as(x, without_last(x.shape()), DType::kComplex64);
  Tape::attach(node, result);
  return result;
}

Tensor view_as_real(Tensor input) {
  const Tensor x = std::move(input);
  Node* node = x.tape().record(kViewAsReal, {&x});
  Shape wide = x.shape();
  Expr& last = wide.size[static_cast<size_t>(wide.rank - 1)];
  last = 2 * last;
  Tensor result = seen_as(x, preserved(wide), DType::kFloat32);
  Tape::attach(node, result);
  return result;
}

Tensor mul_complex(Tensor self, const Tensor& other) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kMulComplex, {&x});
  tape.save(node, other);
  Tensor result = tape.make(broadcast(x.shape(), other.shape()), x.dtype(), kMulComplex.name);
  Tape::attach(node, result);
  return result;
}

Tensor copy_into(Tensor base, const Tensor& source) {
  const Tensor x = std::move(base);
  Tape& tape = x.tape();
  Node* node = tape.record(kCopyInto, {&x, &source});
  if (node != nullptr) node->kernel_size = source.size(-1);
  Tensor result = tape.look(x, x.shape(), false);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
