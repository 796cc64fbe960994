#include "trace/ops.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

/// A product of patches [places, in · height · width] and the weight, for each image or sound.
void count_convolution(const Tensor& result, const Tensor& output, const Tensor& weight) {
  Expr patch = weight.size(1);
  for (int i = 2; i < weight.shape().rank; ++i) patch = patch * weight.size(i);
  Expr places = output.size(2);
  for (int i = 3; i < output.shape().rank; ++i) places = places * output.size(i);
  count_product(result, places, patch, output.size(1), output.size(0));
}

// Inputs: input 0, weight 1, bias 2. The kernels of input and weight read a gradient without gaps
// (cudnn_convolution_backward_weight in ConvShared.cpp, torch 2.13); the bias's is a sum.
void convolution_backward(Gradients& g) {
  constexpr const char* kName = "convolution_backward";
  Tape& tape = g.in[0].tape();
  for (size_t i = 0; i < g.node.inputs; ++i) {
    if (!g.needs(i)) continue;
    const bool is_copied = i < 2 && !is_contiguous(g.in[0].shape());
    const Tensor gradient = workspace(tape, is_copied ? dense_bytes(g.in[0]) : Expr(0), kName);
    g.out[i] = tape.make(contiguous(g.input_shape(i)), g.in[0].dtype(), kName);
    if (i < 2) count_convolution(g.out[i], g.in[0], g.saved(1));
  }
}
const Op kConvolution = {"convolution", convolution_backward};

}  // namespace

// Input and weight are kept whichever gradients are wanted; autocast casts the arguments from right to left.
Tensor convolution(Tensor input, const Tensor& weight, const Tensor& bias, const Shape& output) {
  const Tensor b = bias ? to_low_precision(bias) : bias;
  const Tensor w = to_low_precision(weight);
  const Tensor x = to_low_precision(std::move(input));
  Tape& tape = x.tape();
  Node* node = tape.record(kConvolution, {&x, &w, &b});
  tape.save(node, x);
  tape.save(node, w);
  Tensor result = tape.make(output, x.dtype(), kConvolution.name);
  count_convolution(result, result, w);
  Tape::attach(node, result);
  return result;
}

Tensor conv2d(Tensor input, const Tensor& weight, const Tensor& bias, Expr rows, Expr columns) {
  const Shape output = {input.size(0), weight.size(0), rows, columns};
  return convolution(std::move(input), weight, bias, output);
}

}  // namespace peakmem
