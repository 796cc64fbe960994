#include "trace/gather.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

// grad.new_zeros(self.sizes()).scatter_add_(dim, index, grad)
void gather_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "new_zeros");
}
const Op kGather = {"gather", gather_backward};

// The gradient apart by repeats, and summed over them: nothing to sum where there is one.
void repeat_backward(Gradients& g) {
  const KeptShape& input = g.input_shape(0);
  if (same_sizes(g.in[0].shape(), input))
    g.out[0] = g.in[0];
  else
    g.out[0] = g.in[0].tape().make(contiguous(input), g.in[0].dtype(), "sum");
}
const Op kRepeat = {"repeat", repeat_backward};

}  // namespace

Tensor gather_last(const Tensor& self, const Tensor& index) {
  Tape& tape = self.tape();
  Node* node = tape.record(kGather, {&self});
  tape.save(node, self);
  tape.save(node, index);
  const Shape taken = contiguous(narrowed(self.shape(), -1, index.size(-1)));
  Tensor result = tape.make(taken, self.dtype(), kGather.name);
  Tape::attach(node, result);
  return result;
}

Tensor repeat_rows(const Tensor& self, Expr times) {
  Tape& tape = self.tape();
  Node* node = tape.record(kRepeat, {&self});
  Shape repeated = contiguous(self.shape());
  repeated.size[0] = repeated.size[0] * times;
  Tensor result = tape.make(contiguous(repeated), self.dtype(), kRepeat.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
