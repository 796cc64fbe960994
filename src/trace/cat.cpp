#include "trace/cat.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

void cat_backward(Gradients& g) {
  const int dim = g.node.dims[0];
  for (size_t i = 0; i < g.node.inputs; ++i)
    if (g.needs(i)) g.out[i] = slice(g.in[0], dim, g.input_shape(i)[dim]);
}
const Op kCat = {"cat", cat_backward};

}  // namespace

Tensor cat(const std::array<Tensor, 3>& parts, int dim) {
  const Tensor& first = parts[0];
  Tape& tape = first.tape();
  Node* node = tape.record(kCat, {&parts[0], &parts[1], &parts[2]});
  const Expr length = parts[0].size(dim) + parts[1].size(dim) + parts[2].size(dim);
  if (node != nullptr) node->dims = {dim, 0};
  const DType dtype = promote(promote(parts[0].dtype(), parts[1].dtype()), parts[2].dtype());
  Tensor result = tape.make(contiguous(narrowed(first.shape(), dim, length)), dtype, kCat.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
