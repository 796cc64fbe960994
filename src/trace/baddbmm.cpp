#include "trace/baddbmm.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

// Inputs: self 0, batch1 1, batch2 2. Alphabetical, as the generated code goes; maybe_multiply leaves an alpha of 1
// out.
void baddbmm_backward(Gradients& g) {
  for (const size_t batch : {1U, 2U}) {
    if (!g.needs(batch)) continue;
    const KeptShape& shape = g.input_shape(batch);
    Tensor gradient = g.in[0].tape().make(contiguous(shape), g.in[0].dtype(), "bmm");
    count_product(gradient, g.in[0].size(1), shape[batch == 1 ? 2 : 1], g.in[0].size(2), g.in[0].size(0));
    g.out[batch] = g.node.dims[0] != 0 ? mul_scalar(std::move(gradient)) : std::move(gradient);
  }
  if (g.needs(0)) g.out[0] = g.in[0];
}
const Op kBaddbmm = {"baddbmm", baddbmm_backward};

}  // namespace

Tensor baddbmm(const Tensor& self, const Tensor& batch1, const Tensor& batch2, bool scaled) {
  Tape& tape = self.tape();
  Node* node = tape.record(kBaddbmm, {&self, &batch1, &batch2});
  if (node != nullptr) node->dims = {scaled ? 1 : 0, 0};
  if (batch2->requires_grad) tape.save(node, batch1);
  if (batch1->requires_grad) tape.save(node, batch2);
  Tensor result = tape.make(product(batch1.shape(), batch2.shape()), self.dtype(), kBaddbmm.name);
  count_product(result, batch1.size(1), batch1.size(2), batch2.size(2), batch1.size(0));
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
