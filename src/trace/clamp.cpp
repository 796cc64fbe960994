#include "trace/clamp.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

// where((self >= min) & (self <= max), grad, 0): the temporaries of a C++ expression live to its end.
void clamp_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  const Shape shape = contiguous(g.saved(0).shape());
  const Tensor zero = tape.make({}, g.in[0].dtype(), "scalar_tensor");
  const Tensor above = tape.make(shape, DType::kBool, "ge");
  const Tensor below = tape.make(shape, DType::kBool, "le");
  const Tensor both = tape.make(shape, DType::kBool, "logical_and");
  g.out[0] = tape.make(shape, g.in[0].dtype(), "where");
}
const Op kClamp = {"clamp", clamp_backward};

// where((self >= min).logical_and_(self <= max), grad, 0), where the bounds are numbers.
void clamp_in_place_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  const KeptShape& shape = g.saved(0).shape();
  const Tensor zero = tape.make({}, g.in[0].dtype(), "scalar_tensor");
  const Tensor above = tape.make(preserved(shape), DType::kBool, "ge");
  const Tensor below = tape.make(preserved(shape), DType::kBool, "le");
  g.out[0] = tape.make(preserved(shape), g.in[0].dtype(), "where");
}
const Op kClampInPlace = {"clamp_", clamp_in_place_backward};
const Op kClampTo = {"clamp", clamp_in_place_backward};

/// torch.where(torch.isinf(x).any(), max - 1000, max)
Tensor largest(const Tensor& x) {
  Tape& tape = x.tape();
  Tensor infinite = tape.make(preserved(x.shape()), DType::kBool, "isinf");
  const Tensor any = tape.make({}, DType::kBool, "any");
  infinite.reset();
  const Tensor less = tape.make({}, DType::kFloat32, "scalar_tensor");
  const Tensor most = tape.make({}, DType::kFloat32, "scalar_tensor");
  return tape.make({}, DType::kFloat32, "where");
}

}  // namespace

void clamp_half(Tensor& hidden_states, Tensor& clamp_value) {
  if (hidden_states.dtype() != DType::kFloat16) return;
  Tape& tape = hidden_states.tape();
  clamp_value = largest(hidden_states);
  const Tensor least = tape.make({}, DType::kFloat32, "neg");
  Node* node = tape.record(kClamp, {&hidden_states});
  tape.save(node, hidden_states);
  tape.save(node, least);
  tape.save(node, clamp_value);
  Tensor clamped = tape.make(preserved(hidden_states.shape()), hidden_states.dtype(), kClamp.name);
  Tape::attach(node, clamped);
  hidden_states = std::move(clamped);
}

Tensor clamp(Tensor self) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kClampTo, {&x});
  tape.save(node, x);
  Tensor result = tape.make(preserved(x.shape()), x.dtype(), kClampTo.name);
  Tape::attach(node, result);
  return result;
}

Tensor clamp_in_place(Tensor self) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kClampInPlace, {&x});
  if (node != nullptr) tape.save(node, tape.make(preserved(x.shape()), x.dtype(), "clone"));
  Tensor result = tape.look(x, x.shape(), false);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
