#include "trace/sampling.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

// grad.gather(dim, index)
void scatter_into_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "gather");
}
const Op kScatterInto = {"scatter_", scatter_into_backward};

}  // namespace

Tensor scatter_into(Tensor self, const Tensor& index, const Tensor& source) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kScatterInto, {&source});
  tape.save(node, index);
  Tensor result = tape.look(x, x.shape(), false);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
