#include "trace/ops.h"

namespace peakmem {
namespace {

void nll_loss_backward(Gradients& g) {
  const Node& input = *g.node.next[0].node;
  g.out[0] = g.in[0].tape().make(contiguous(input.shape()), g.in[0].dtype(), "nll_loss_backward");
}
const Op kNllLoss = {"nll_loss", nll_loss_backward};

// What autocast casts is an argument until the op returns; without a graph nobody else holds it.
Tensor nll_loss(const Tensor& input, const Tensor& target) {
  const Tensor x = to_full_precision(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kNllLoss, {&x});
  tape.save(node, x);
  tape.save(node, target);
  Tensor loss = tape.make(Shape{}, x.dtype(), "nll_loss_forward");
  Tape::attach(node, loss);
  const Tensor total_weight = tape.make(Shape{}, x.dtype(), "nll_loss_forward");
  tape.save(node, total_weight);
  return loss;
}

// Only the input wants a gradient; the kernel makes it in the input's sizes and the wider dtype of the two.
void mse_loss_backward(Gradients& g) {
  const Tensor x = g.saved(0);
  g.out[0] = x.tape().make(contiguous(x.shape()), promote(x.dtype(), g.saved(1).dtype()), "mse_loss_backward");
}
const Op kMseLoss = {"mse_loss", mse_loss_backward};

// (sigmoid(input) - target) * grad, divided in place (aten/src/ATen/native/Loss.cpp, torch 2.13).
void binary_cross_entropy_backward(Gradients& g) {
  const Tensor x = g.saved(0);
  const DType dtype = promote(x.dtype(), g.saved(1).dtype());
  const auto make = [&](DType of, const char* op) { return x.tape().make(contiguous(x.shape()), of, op); };
  Tensor probabilities = make(x.dtype(), "sigmoid");
  const Tensor differences = make(dtype, "sub");
  probabilities.reset();
  g.out[0] = make(dtype, "mul");
}
const Op kBinaryCrossEntropy = {"binary_cross_entropy_with_logits", binary_cross_entropy_backward};

/// A loss of every element against its target, and their mean.
Tensor mean_over_elements(const Op& op, Tensor input, const Tensor& target) {
  const Tensor x = to_full_precision(std::move(input));
  const Tensor y = to_full_precision(target);
  Tape& tape = x.tape();
  Node* node = tape.record(op, {&x});
  tape.save(node, x);
  tape.save(node, y);
  Tensor loss = tape.make(Shape{}, promote(x.dtype(), y.dtype()), op.name);
  Tape::attach(node, loss);
  return loss;
}

// The buffer that is saved beside the input is empty on CUDA.
void log_sigmoid_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.saved(0).shape()), g.in[0].dtype(), "log_sigmoid_backward");
}
const Op kLogSigmoid = {"log_sigmoid_forward", log_sigmoid_backward};

}  // namespace

Tensor log_sigmoid(Tensor input) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kLogSigmoid, {&x});
  tape.save(node, x);
  Tensor result = tape.make(contiguous(x.shape()), x.dtype(), kLogSigmoid.name);
  Tape::attach(node, result);
  return result;
}

Tensor cross_entropy(Tensor logits, const Tensor& labels) {
  const DType dtype = logits.dtype();
  const Tensor log_probabilities = log_softmax(std::move(logits), &dtype);
  return nll_loss(log_probabilities, labels);
}

Tensor binary_cross_entropy(Tensor input, const Tensor& target) {
  return mean_over_elements(kBinaryCrossEntropy, std::move(input), target);
}

Tensor mse_loss(Tensor input, const Tensor& target) { return mean_over_elements(kMseLoss, std::move(input), target); }

}  // namespace peakmem
