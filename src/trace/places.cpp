#include "trace/places.h"

#include "trace/ops.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

/// Where a mask is true: two indices a place (nonzero, which index and index_put ask first; torch 2.13).
Tensor found(Tape& tape, Expr places) { return workspace(tape, places * 16, "nonzero"); }

// index_put_ of a new tensor of zeros.
void take_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  g.out[0] = tape.make(contiguous(g.input_shape(0)), g.in[0].dtype(), "new_zeros");
  const Tensor indices = found(tape, g.in[0].size(0));
}
const Op kTake = {"index", take_backward};

// Inputs: self 0, values 1. grad.index_put(indices, zeros), and grad[indices].
void put_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  const KeptShape& values = g.input_shape(1);
  if (g.needs(0)) {
    const Tensor zeros = tape.make(contiguous(values), g.in[0].dtype(), "zeros");
    g.out[0] = tape.make(contiguous(g.in[0].shape()), g.in[0].dtype(), "index_put");
    const Tensor indices = found(tape, values.size[0]);
  }
  g.out[1] = tape.make(contiguous(values), g.in[0].dtype(), "index");
}
const Op kPut = {"index_put_", put_backward};

/// `sizes` [places, C] are said, since the width of what is seen may be a number where a text's is a letter.
Tensor take(const Tensor& self, const Tensor& mask, const KeptShape& sizes) {
  Tape& tape = self.tape();
  Node* node = tape.record(kTake, {&self});
  tape.save(node, mask);
  Tensor result = tape.make(contiguous(sizes), self.dtype(), kTake.name);
  const Tensor indices = found(tape, sizes.size[0]);
  Tape::attach(node, result);
  return result;
}

Tensor put_in_place(Tensor self, const Tensor& mask, const Tensor& values) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kPut, {&x, &values});
  tape.save(node, mask);
  const Tensor indices = found(tape, values.size(0));
  Tensor result = tape.look(x, x.shape(), false);
  Tape::attach(node, result);
  return result;
}

}  // namespace

Tensor add_at_places(Tensor self, const Tensor& mask, const Tensor& features) {
  const Tensor values = to(features, self.dtype());
  Tensor copy = clone(self, contiguous(self.shape()));
  self.reset();
  const Tensor sums = add(take(copy, mask, values.shape()), values);
  return put_in_place(std::move(copy), mask, sums);
}

}  // namespace peakmem
