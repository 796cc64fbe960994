#include "megatron/functions.h"

namespace peakmem::mcore {
namespace {

/// What of calculate_predicted_logits lives on.
struct Predicted {
  Tensor target_mask, masked_target, predicted_logits, sum_exp_logits;
};

Predicted predict(const Tensor& logits, const Tensor& target) {
  Tape& tape = logits.tape();
  const Shape rows = {target.shape().elements()};
  const auto make = [&](const Shape& shape, DType dtype, const char* op) { return tape.make(shape, dtype, op); };
  Predicted p;
  {
    const Tensor below = make(target.shape(), DType::kBool, "lt");
    const Tensor above = make(target.shape(), DType::kBool, "ge");
    p.target_mask = make(target.shape(), DType::kBool, "bitwise_or");
  }
  {
    const Tensor clone = make(target.shape(), DType::kInt64, "clone");
    p.masked_target = make(target.shape(), DType::kInt64, "sub");
  }
  const Tensor arange = make(rows, DType::kInt64, "arange");
  {
    const Tensor picked = make(rows, DType::kFloat32, "index");
    p.predicted_logits = make(rows, DType::kFloat32, "clone");
  }
  p.sum_exp_logits = make(target.shape(), DType::kFloat32, "sum");
  return p;
}

// The gradient is written over the saved softmax. A function written in Python lets what came in go when it returns,
// before the engine casts what it gave.
void cross_entropy_backward(Gradients& g) {
  const Tensor softmax = g.saved(0);
  Tape& tape = softmax.tape();
  const Shape rows = {g.saved(1).shape().elements()};
  const Tensor arange = tape.make(rows, DType::kInt64, "arange");
  Tensor softmax_update;
  {
    const Tensor mask = tape.make(rows, DType::kFloat32, "_to_copy");
    softmax_update = tape.make(rows, DType::kFloat32, "rsub");
  }
  {
    const Tensor picked = tape.make(rows, DType::kFloat32, "index");
  }
  g.out[0] = softmax;
  g.in[0].reset();
}
// Written anew, and cast: two tensors of all logits beside the saved one.
void fused_backward(Gradients& g, DType dtype) {
  const Tensor softmax = g.saved(0);
  const Tensor gradient = softmax.tape().make(contiguous(softmax.shape()), DType::kFloat32, "calculate_gradients");
  g.out[0] = softmax.tape().make(contiguous(softmax.shape()), dtype, "calculate_gradients");
  g.in[0].reset();
}
const Op kFusedCrossEntropy = {"_VocabParallelCrossEntropy", run_function};
const Op kCrossEntropy = {"VocabParallelCrossEntropy", cross_entropy_backward};

}  // namespace

Tensor vocab_parallel_cross_entropy(Tensor logits, const Tensor& labels) {
  const Tensor x = std::move(logits);
  Tape& tape = x.tape();
  Node* node = tape.record(kCrossEntropy, {&x});
  Tensor loss;
  {
    const NoGrad no_grad(tape);
    const Tensor exp_logits = to(x, DType::kFloat32);
    const Tensor logits_max = tape.make(labels.shape(), DType::kFloat32, "max");
    {
      const Tensor indices = tape.make(labels.shape(), DType::kInt64, "max");
    }
    const Predicted p = predict(exp_logits, labels);
    {
      const Tensor log = tape.make(labels.shape(), DType::kFloat32, "log");
      loss = tape.make(labels.shape(), DType::kFloat32, "sub");
    }
    tape.save_output(node, exp_logits);
    tape.save(node, p.target_mask);
    tape.save(node, p.masked_target);
  }
  Tape::attach(node, loss);
  return loss;
}

// Each function is compiled by itself: what one would write in place the next makes anew.
Tensor fused_vocab_parallel_cross_entropy(Tensor logits, const Tensor& labels) {
  const Tensor x = std::move(logits);
  Tape& tape = x.tape();
  Node* node = tape.record(kFusedCrossEntropy, {&x});
  const Shape rows = {labels.shape().elements()};
  const auto full = [&](const Shape& shape, const char* op) { return tape.make(shape, DType::kFloat32, op); };
  const Tensor exp_logits = full(contiguous(x.shape()), "calculate_logits_max");
  Tensor loss;
  {
    const Tensor logits_max = full(labels.shape(), "calculate_logits_max");
    const Tensor target_mask = tape.make(labels.shape(), DType::kBool, "calculate_predicted_logits");
    const Tensor masked_target = tape.make(rows, DType::kInt64, "calculate_predicted_logits");
    tape.save(node, exp_logits);
    tape.save(node, target_mask);
    tape.save(node, masked_target);
    Tensor both;
    {
      const Tensor predicted = full(rows, "calculate_predicted_logits");
      const Tensor sums = full(rows, "calculate_predicted_logits");
      both = full({2 * rows[0]}, "cat");
    }
    {
      const Tensor exponents = full(contiguous(x.shape()), "calculate_predicted_logits");
    }
    loss = full(labels.shape(), "calculate_cross_entropy_loss");
  }
  Tape::attach(node, loss);
  if (node != nullptr) node->function = [dtype = x.dtype()](Gradients& g) { fused_backward(g, dtype); };
  return loss;
}

}  // namespace peakmem::mcore
