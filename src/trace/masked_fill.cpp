#include "trace/masked_fill.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

// grad.masked_fill(mask, 0)
void masked_fill_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(preserved(g.in[0].shape()), g.in[0].dtype(), "masked_fill");
}
const Op kMaskedFill = {"masked_fill", masked_fill_backward};

}  // namespace

Tensor masked_fill(Tensor input, const Tensor& mask) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kMaskedFill, {&x});
  tape.save(node, mask);
  Tensor result = tape.make(broadcast(x.shape(), mask.shape()), x.dtype(), kMaskedFill.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
