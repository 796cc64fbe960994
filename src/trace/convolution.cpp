#include "trace/ops.h"

namespace peakmem {
namespace {

// Inputs: input 0, weight 1, bias 2. One kernel gives the gradients that are wanted.
void convolution_backward(Gradients& g) {
  for (size_t i = 0; i < g.node.inputs; ++i)
    if (g.needs(i))
      g.out[i] = g.in[0].tape().make(contiguous(g.input_shape(i)), g.in[0].dtype(), "convolution_backward");
}
const Op kConvolution = {"convolution", convolution_backward};

}  // namespace

// Input and weight are kept whichever gradients are wanted; autocast casts the arguments from right to left.
Tensor conv2d(Tensor input, const Tensor& weight, const Tensor& bias, Expr rows, Expr columns) {
  const Tensor b = to_low_precision(bias);
  const Tensor w = to_low_precision(weight);
  const Tensor x = to_low_precision(std::move(input));
  Tape& tape = x.tape();
  Node* node = tape.record(kConvolution, {&x, &w, &b});
  tape.save(node, x);
  tape.save(node, w);
  Tensor result = tape.make({x.size(0), w.size(0), rows, columns}, x.dtype(), kConvolution.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
