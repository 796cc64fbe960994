#include "trace/ops.h"

namespace peakmem {
namespace {

// The kernel writes gradients of the logits' own dtype in the order of their sizes.
void selective_backward(Gradients& g) {
  const Tensor logits = g.saved(0);
  g.out[0] = logits.tape().make(contiguous(logits.shape()), logits.dtype(), "empty_like");
}
const Op kSelective = {"selective_log_softmax", run_function};

Tensor like(const Tensor& x, DType dtype, const char* name) { return x.tape().make(preserved(x.shape()), dtype, name); }

// grad / (self + 1)
void log1p_backward(Gradients& g) {
  const Tensor shifted = like(g.saved(0), g.in[0].dtype(), "add");
  g.out[0] = like(shifted, g.in[0].dtype(), "div");
}
const Op kLog1p = {"log1p", log1p_backward};

// grad / self
void log_backward(Gradients& g) { g.out[0] = like(g.saved(0), g.in[0].dtype(), "div"); }
const Op kLog = {"log", log_backward};

// grad * (result + 1)
void expm1_backward(Gradients& g) {
  const Tensor shifted = like(g.saved(0), g.in[0].dtype(), "add");
  g.out[0] = like(shifted, g.in[0].dtype(), "mul");
}
const Op kExpm1 = {"expm1", expm1_backward};

// where(condition, grad, 0), where(condition, 0, grad)
void either_backward(Gradients& g) {
  for (size_t i = 0; i < 2; ++i) {
    const Tensor zero = g.in[0].tape().make({}, g.in[0].dtype(), "scalar_tensor");
    g.out[i] = like(g.in[0], g.in[0].dtype(), "where");
  }
}
const Op kEither = {"where", either_backward};

// grad.masked_fill(self == other, grad / 2).masked_fill_(self > other, 0), and the same of the other.
void minimum_backward(Gradients& g) {
  for (size_t i = 0; i < 2; ++i) {
    const Tensor half = like(g.in[0], g.in[0].dtype(), "div");
    const Tensor is_equal = like(g.in[0], DType::kBool, "eq");
    g.out[i] = like(g.in[0], g.in[0].dtype(), "where");
    const Tensor is_larger = like(g.in[0], DType::kBool, "gt");
  }
}
const Op kMinimum = {"minimum", minimum_backward};

Tensor keeping_input(const Op& op, Tensor input) {
  const Tensor x = std::move(input);
  Node* node = x.tape().record(op, {&x});
  x.tape().save(node, x);
  Tensor result = like(x, x.dtype(), op.name);
  Tape::attach(node, result);
  return result;
}

Tensor expm1(const Tensor& x) {
  Node* node = x.tape().record(kExpm1, {&x});
  Tensor result = like(x, x.dtype(), kExpm1.name);
  Tape::attach(node, result);
  x.tape().save_output(node, result);
  return result;
}

/// torch.where(condition, a, b) of two that want gradients.
Tensor either(const Tensor& condition, const Tensor& a, const Tensor& b) {
  Node* node = a.tape().record(kEither, {&a, &b});
  a.tape().save(node, condition);
  Tensor result = like(a, a.dtype(), kEither.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace

Tensor selective_log_softmax(const Tensor& logits, const Tensor& index) {
  Tape& tape = logits.tape();
  Node* node = tape.record(kSelective, {&logits});
  const KeptShape& rows = index.shape();
  Tensor log_probs = tape.make(rows, DType::kFloat32, kSelective.name);
  const Tensor entropy = tape.make(rows, DType::kFloat32, kSelective.name);
  const Tensor log_z = tape.make(rows, DType::kFloat32, kSelective.name);
  const Tensor expected_logit = tape.make(rows, DType::kFloat32, kSelective.name);
  Tape::attach(node, log_probs);
  for (const Tensor* saved : {&logits, &index, &log_z, &expected_logit}) tape.save(node, *saved);
  if (node != nullptr) node->function = selective_backward;
  return log_probs;
}

Tensor minimum(const Tensor& a, const Tensor& b) {
  Node* node = a.tape().record(kMinimum, {&a, &b});
  for (const Tensor* saved : {&a, &b}) a.tape().save(node, *saved);
  Tensor result = like(a, a.dtype(), kMinimum.name);
  Tape::attach(node, result);
  return result;
}

Tensor log1mexp(const Tensor& x) {
  const Tensor is_small = like(x, DType::kBool, "lt");
  const Tensor first = keeping_input(kLog1p, neg(exp(x)));
  const Tensor second = keeping_input(kLog, neg(expm1(x)));
  return either(is_small, first, second);
}

}  // namespace peakmem
