#include "trace/mean.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

// grad.unsqueeze(dim).expand(sizes) / n
void mean_backward(Gradients& g) {
  g.out[0] = div_scalar(expand(unsqueeze(g.in[0], g.node.dims[0]), g.input_shape(0)));
}
const Op kMean = {"mean", mean_backward};

void mean_of_maps_backward(Gradients& g) {
  g.out[0] = div_scalar(expand(unsqueeze(unsqueeze(g.in[0], 2), 3), g.input_shape(0)));
}
const Op kMeanOfMaps = {"mean", mean_of_maps_backward};

}  // namespace

Tensor mean_of_maps(Tensor self) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kMeanOfMaps, {&x});
  Tensor result = tape.make({x.size(0), x.size(1)}, x.dtype(), kMeanOfMaps.name);
  Tape::attach(node, result);
  return result;
}

Tensor mean_dim(Tensor self, int dim) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kMean, {&x});
  if (node != nullptr) node->dims = {dim, 0};
  const Shape one = narrowed(x.shape(), dim, 1);
  Tensor result = tape.make(contiguous(merged(contiguous(one), dim - 1, 2)), x.dtype(), kMean.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
