#include "megatron/functions.h"

namespace peakmem::mcore {
namespace {

Tensor alike(const Tensor& tensor, const char* op) {
  return tensor.tape().make(preserved(tensor.shape()), tensor.dtype(), op);
}

// CopySlices: a copy of the base's gradient, into which goes what the op makes of a clone of the view's.
void masked_fill_view_backward(Gradients& g) {
  Tensor whole = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "new_empty_strided");
  Tensor filled;
  {
    const Tensor clone = alike(g.in[0], "clone");
    filled = alike(g.in[0], "masked_fill");
  }
  g.out[0] = std::move(whole);
}
const Op kMaskedFillView = {"masked_fill_", masked_fill_view_backward};

void masked_fill_backward(Gradients& g) { g.out[0] = alike(g.in[0], "masked_fill"); }
const Op kMaskedFill = {"masked_fill_", masked_fill_backward};

// Written over the incoming gradient.
void fused_softmax_backward(Gradients& g) { g.out[0] = contiguous(g.in[0]); }
const Op kFusedSoftmax = {"ScaledMaskedSoftmax", fused_softmax_backward};

// One tensor is both gradients; the engine sums the bias's.
void bias_gelu_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "bias_gelu_back");
  if (g.needs(1)) g.out[1] = g.out[0];
  g.in[0].reset();
}
const Op kBiasGelu = {"GeLUFunction", bias_gelu_backward};

// One tensor is both gradients, if there is a bias.
void swiglu_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "swiglu_back");
  if (!g.needs(1)) return;
  g.out[1] = g.out[0];
  g.in[0].reset();
}
const Op kSwiglu = {"SwiGLUFunction", swiglu_backward};

void weighted_swiglu_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  g.out[0] = tape.make(contiguous(g.input_shape(0)), g.in[0].dtype(), "weighted_swiglu_back");
  const Tensor weights = g.saved(1);
  if (g.needs(1)) g.out[1] = tape.make(contiguous(weights.shape()), weights.dtype(), "weighted_swiglu_back");
}
const Op kWeightedSwiglu = {"WeightedSwiGLUFunction", weighted_swiglu_backward};

Tensor filled(const Op& op, const Tensor& x, const Shape& sizes, const Tensor& mask) {
  Tape& tape = x.tape();
  Node* node = tape.record(op, {&x});
  tape.save(node, mask);
  Tensor result = tape.look(x, sizes, false);
  Tape::attach(node, result);
  return result;
}

}  // namespace

Tensor masked_fill_view(Tensor product, const Shape& sizes, const Tensor& mask) {
  const Tensor x = std::move(product);
  return filled(kMaskedFillView, x, sizes, mask);
}

Tensor masked_fill_in_place(Tensor scores, const Tensor& mask) {
  const Tensor x = std::move(scores);
  return filled(kMaskedFill, x, x.shape(), mask);
}

Tensor fused_softmax(Tensor scores) {
  const Tensor x = std::move(scores);
  Tape& tape = x.tape();
  Node* node = tape.record(kFusedSoftmax, {&x});
  Tensor result = tape.make(preserved(x.shape()), x.dtype(), kFusedSoftmax.name);
  Tape::attach(node, result);
  tape.save_output(node, result);
  return result;
}

Tensor bias_gelu(Tensor input, const Tensor& bias) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kBiasGelu, {&x, &bias});
  Tensor result = tape.make(contiguous(x.shape()), x.dtype(), kBiasGelu.name);
  Tape::attach(node, result);
  tape.save(node, x);
  tape.save(node, bias);
  return result;
}

Tensor swiglu(Tensor input, const Tensor& bias) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kSwiglu, {&x, &bias});
  const Shape half = contiguous(narrowed(x.shape(), x.shape().rank - 1, exact_div(x.size(-1), 2)));
  Tensor result = tape.make(half, x.dtype(), kSwiglu.name);
  Tape::attach(node, result);
  tape.save(node, x);
  if (bias) tape.save(node, bias);
  return result;
}

Tensor weighted_swiglu(Tensor input, const Tensor& weights) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kWeightedSwiglu, {&x, &weights});
  const Shape half = contiguous(narrowed(x.shape(), x.shape().rank - 1, exact_div(x.size(-1), 2)));
  Tensor result = tape.make(half, x.dtype(), kWeightedSwiglu.name);
  Tape::attach(node, result);
  tape.save(node, x);
  tape.save(node, weights);
  return result;
}

// unsqueeze, expand, clone and flatten (Repeat.cpp, torch 2.13).
Tensor repeat_interleave(Tensor input, Expr count, int dim) {
  Tensor x = unsqueeze(std::move(input), dim + 1);
  Shape repeated = x.shape();
  repeated.size[static_cast<size_t>(dim) + 1] = count;
  x = expand(std::move(x), contiguous(repeated));
  x = clone(x, contiguous(x.shape()));
  return merge_dims(std::move(x), dim, 2);
}

}  // namespace peakmem::mcore
