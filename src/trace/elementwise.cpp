#include "trace/ops.h"

namespace peakmem {
namespace {

/// What an elementwise op keeps: its input, its result, or neither.
enum class Keeps { kNothing, kInput, kResult };

Tensor unary(const Op& op, Tensor input, Keeps keeps) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(op, {&x});
  if (keeps == Keeps::kInput) tape.save(node, x);
  Tensor result = tape.make(preserved(x.shape()), x.dtype(), op.name);
  Tape::attach(node, result);
  if (keeps == Keeps::kResult) tape.save_output(node, result);
  return result;
}

/// A kernel of gradient and one saved tensor that gives the input's gradient: tanh_backward and its kin.
Tensor from_gradient(Gradients& g, const char* name) {
  const Tensor saved = g.saved(0);
  return g.in[0].tape().make(broadcast(g.in[0].shape(), saved.shape()), promote(g.in[0].dtype(), saved.dtype()), name);
}

void to_backward(Gradients& g) { g.out[0] = to(g.in[0], g.node.next[0].node->dtype); }
const Op kTo = {"_to_copy", to_backward};

void add_backward(Gradients& g) {
  for (size_t i = 0; i < 2; ++i)
    if (g.needs(i)) g.out[i] = g.in[0];
}
const Op kAdd = {"add", add_backward};

void sub_backward(Gradients& g) {
  if (g.needs(1)) g.out[1] = neg(g.in[0]);
  if (g.needs(0)) g.out[0] = g.in[0];
}
const Op kSub = {"sub", sub_backward};

// Alphabetical, as the generated code goes: what is kept of `other` comes before `self`, and its gradient too.
void mul_backward(Gradients& g) {
  if (g.needs(1)) g.out[1] = mul(g.in[0], g.saved(g.needs(0) ? 1 : 0));
  if (g.needs(0)) g.out[0] = mul(g.in[0], g.saved(0));
}
const Op kMul = {"mul", mul_backward};

void pass_backward(Gradients& g) { g.out[0] = g.in[0]; }
const Op kAddScalar = {"add", pass_backward};

void mul_scalar_backward(Gradients& g) { g.out[0] = mul_scalar(g.in[0]); }
const Op kMulScalar = {"mul", mul_scalar_backward};
void div_scalar_backward(Gradients& g) { g.out[0] = div_scalar(g.in[0]); }
const Op kDivScalar = {"div", div_scalar_backward};
// The engine casts a gradient to what the input has, where a number divided another of a wider dtype.
void div_backward(Gradients& g) { g.out[0] = to(div_scalar(g.in[0]), g.node.next[0].node->dtype); }
const Op kDiv = {"div", div_backward};
void neg_backward(Gradients& g) { g.out[0] = neg(g.in[0]); }
const Op kNeg = {"neg", neg_backward};

// grad * (exponent * self.pow(exponent - 1)): the temporaries of a C++ expression live to its end.
void pow_backward(Gradients& g) {
  const Tensor power = pow_scalar(g.saved(0));
  const Tensor scaled = mul_scalar(power);
  g.out[0] = mul(g.in[0], scaled);
}
const Op kPow = {"pow", pow_backward};

// -0.5 * grad * result.pow(3)
void rsqrt_backward(Gradients& g) {
  const Tensor cube = pow_scalar(g.saved(0));
  const Tensor scaled = mul_scalar(g.in[0]);
  g.out[0] = mul(scaled, cube);
}
const Op kRsqrt = {"rsqrt", rsqrt_backward};

void tanh_backward(Gradients& g) { g.out[0] = from_gradient(g, "tanh_backward"); }
const Op kTanh = {"tanh", tanh_backward};
/// grad * result
void exp_backward(Gradients& g) { g.out[0] = mul(g.in[0], g.saved(0)); }
const Op kExp = {"exp", exp_backward};
void sigmoid_backward(Gradients& g) { g.out[0] = from_gradient(g, "sigmoid_backward"); }
const Op kSigmoid = {"sigmoid", sigmoid_backward};
void relu_backward(Gradients& g) { g.out[0] = from_gradient(g, "threshold_backward"); }
const Op kRelu = {"relu", relu_backward};
void silu_backward(Gradients& g) { g.out[0] = from_gradient(g, "silu_backward"); }
const Op kSilu = {"silu", silu_backward};
void gelu_backward(Gradients& g) { g.out[0] = from_gradient(g, "gelu_backward"); }
const Op kGelu = {"gelu", gelu_backward};

// 2.0 / sqrt(M_PI) * exp(-(self.pow(2))) * grad: the temporaries of a C++ expression live to its end.
void erf_backward(Gradients& g) {
  const Tensor square = pow_scalar(g.saved(0));
  const Tensor negated = neg(square);
  const Tensor bell = g.in[0].tape().make(preserved(negated.shape()), negated.dtype(), "exp");
  const Tensor scaled = mul_scalar(bell);
  g.out[0] = mul(scaled, g.in[0]);
}
const Op kErf = {"erf", erf_backward};

// grad.expand(sizes) / n
void mean_backward(Gradients& g) { g.out[0] = div_scalar(expand(g.in[0], g.input_shape(0))); }
const Op kMean = {"mean", mean_backward};

void cat_backward(Gradients& g) {
  const int dim = g.node.dims[0];
  for (size_t i = 0; i < g.node.inputs; ++i)
    if (g.needs(i)) g.out[i] = slice(g.in[0], dim, g.input_shape(i)[dim]);
}
const Op kCat = {"cat", cat_backward};

// grad.unbind(-1)
void stack_backward(Gradients& g) {
  const Tensor& gradient = g.in[0];
  const int last = gradient.shape().rank - 1;
  const Shape half = merged(narrowed(gradient.shape(), last, 1), last - 1, 2);
  for (size_t i = 0; i < 2; ++i)
    if (g.needs(i)) g.out[i] = gradient.tape().look(gradient, half, true);
}
const Op kStack = {"stack", stack_backward};

// where(condition, grad, 0)
void where_backward(Gradients& g) {
  const Tensor& gradient = g.in[0];
  const Tensor zero = gradient.tape().make({}, gradient.dtype(), "scalar_tensor");
  g.out[0] = gradient.tape().make(broadcast(g.saved(0).shape(), gradient.shape()), gradient.dtype(), "where");
}
const Op kWhere = {"where", where_backward};

}  // namespace

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (is_floating(a) != is_floating(b)) return is_floating(a) ? a : b;
  if (is_floating(a)) return DType::kFloat32;
  return size_of(a) >= size_of(b) ? a : b;
}

Tensor to(Tensor input, DType dtype) {
  const Tensor x = std::move(input);
  if (x.dtype() == dtype) return x;
  Tape& tape = x.tape();
  Node* node = tape.record(kTo, {&x});
  Tensor result = tape.make(preserved(x.shape()), dtype, kTo.name);
  Tape::attach(node, result);
  return result;
}

Tensor to_low_precision(Tensor input) {
  Tensor x = std::move(input);
  Tape& tape = x.tape();
  if (!tape.autocast.enabled || !is_floating(x.dtype()) || x.dtype() == tape.autocast.dtype) return x;
  if (x->cast < 0 || x.dtype() != DType::kFloat32) return to(std::move(x), tape.autocast.dtype);
  const auto place = static_cast<size_t>(x->cast);
  std::vector<Tensor>& cache = tape.autocast.cache;
  if (cache.size() <= place) cache.resize(place + 1);
  if (!cache[place]) cache[place] = to(x, tape.autocast.dtype);
  return cache[place];
}

Tensor to_full_precision(Tensor input) {
  Tensor x = std::move(input);
  return x.tape().autocast.enabled && is_floating(x.dtype()) ? to(std::move(x), DType::kFloat32) : x;
}

namespace {

/// An op of two tensors that keeps neither.
Tensor binary(const Op& op, Tensor self, Tensor other) {
  const Tensor a = std::move(self);
  const Tensor b = std::move(other);
  Tape& tape = a.tape();
  Node* node = tape.record(op, {&a, &b});
  Tensor result = tape.make(broadcast(a.shape(), b.shape()), promote(a.dtype(), b.dtype()), op.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace

Tensor add(Tensor self, Tensor other) { return binary(kAdd, std::move(self), std::move(other)); }
Tensor sub(Tensor self, Tensor other) { return binary(kSub, std::move(self), std::move(other)); }

Tensor add_in_place(Tensor self, const Tensor& other) {
  const Tensor x = std::move(self);
  Node* node = x.tape().record(kAdd, {&x, &other});
  Tensor result = x.tape().look(x, x.shape(), false);
  Tape::attach(node, result);
  return result;
}

namespace {

/// A tensor of no dimensions does not decide the dtype beside one that has some (result_type, TypeProperties.cpp).
DType dtype_of_both(const Tensor& a, const Tensor& b) {
  const bool alike = (a.shape().rank == 0) == (b.shape().rank == 0);
  if (alike) return promote(a.dtype(), b.dtype());
  return a.shape().rank == 0 ? b.dtype() : a.dtype();
}

}  // namespace

Tensor mul(Tensor self, Tensor other) {
  const Tensor a = std::move(self);
  const Tensor b = std::move(other);
  Tape& tape = a.tape();
  Node* node = tape.record(kMul, {&a, &b});
  if (a->requires_grad) tape.save(node, b);
  if (b->requires_grad) tape.save(node, a);
  Tensor result = tape.make(broadcast(a.shape(), b.shape()), dtype_of_both(a, b), kMul.name);
  Tape::attach(node, result);
  return result;
}

Tensor add_scalar(Tensor self) { return unary(kAddScalar, std::move(self), Keeps::kNothing); }
Tensor mul_scalar(Tensor self) { return unary(kMulScalar, std::move(self), Keeps::kNothing); }
Tensor div_scalar(Tensor self) { return unary(kDivScalar, std::move(self), Keeps::kNothing); }
Tensor neg(Tensor self) { return unary(kNeg, std::move(self), Keeps::kNothing); }
Tensor mul_scalar_in_place(Tensor self) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kMulScalar, {&x});
  Tensor result = tape.look(x, x.shape(), false);
  Tape::attach(node, result);
  return result;
}

Tensor div(Tensor self, const Tensor& other) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kDiv, {&x});
  tape.save(node, other);
  const bool both_count = x.shape().rank == 0 || other.shape().rank > 0;
  const DType dtype = both_count ? promote(x.dtype(), other.dtype()) : x.dtype();
  Tensor result = tape.make(preserved(x.shape()), dtype, kDiv.name);
  Tape::attach(node, result);
  return result;
}

Tensor pow_scalar(Tensor self) { return unary(kPow, to_full_precision(std::move(self)), Keeps::kInput); }
Tensor rsqrt(Tensor self) { return unary(kRsqrt, to_full_precision(std::move(self)), Keeps::kResult); }
Tensor tanh(Tensor self) { return unary(kTanh, std::move(self), Keeps::kResult); }
Tensor exp(Tensor self) { return unary(kExp, to_full_precision(std::move(self)), Keeps::kResult); }
Tensor sigmoid(Tensor self) { return unary(kSigmoid, std::move(self), Keeps::kResult); }
Tensor relu(Tensor self) { return unary(kRelu, std::move(self), Keeps::kResult); }
Tensor silu(Tensor self) { return unary(kSilu, std::move(self), Keeps::kInput); }
Tensor gelu(Tensor self) { return unary(kGelu, std::move(self), Keeps::kInput); }

Tensor erf(Tensor self) { return unary(kErf, std::move(self), Keeps::kInput); }

Tensor mean_last(Tensor self) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kMean, {&x});
  Tensor result = tape.make(reduced_last(x.shape()), x.dtype(), kMean.name);
  Tape::attach(node, result);
  return result;
}

Tensor where(const Tensor& condition, Tensor input) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kWhere, {&x});
  tape.save(node, condition);
  const Tensor number = tape.make({}, x.dtype(), "scalar_tensor");
  Tensor result = tape.make(broadcast(condition.shape(), x.shape()), x.dtype(), kWhere.name);
  Tape::attach(node, result);
  return result;
}

Tensor cat(Tensor a, Tensor b, int dim) {
  const Tensor x = std::move(a);
  const Tensor y = std::move(b);
  Tape& tape = x.tape();
  Node* node = tape.record(kCat, {&x, &y});
  const Shape whole = contiguous(narrowed(x.shape(), dim, x.size(dim) + y.size(dim)));
  if (node != nullptr) node->dims = {dim, 0};
  Tensor result = tape.make(whole, promote(x.dtype(), y.dtype()), kCat.name);
  Tape::attach(node, result);
  return result;
}

Tensor cat(const std::array<Tensor, 3>& parts, int dim) {
  const auto& [first, second, third] = parts;
  Tape& tape = first.tape();
  Node* node = tape.record(kCat, {&first, &second, &third});
  const Shape whole = contiguous(narrowed(first.shape(), dim, first.size(dim) + second.size(dim) + third.size(dim)));
  if (node != nullptr) node->dims = {dim, 0};
  const DType dtype = promote(promote(first.dtype(), second.dtype()), third.dtype());
  Tensor result = tape.make(whole, dtype, kCat.name);
  Tape::attach(node, result);
  return result;
}

Tensor stack_last(Tensor a, Tensor b) {
  const Tensor x = std::move(a);
  const Tensor y = std::move(b);
  Tape& tape = x.tape();
  Node* node = tape.record(kStack, {&x, &y});
  Shape pairs = unsqueezed(x.shape(), x.shape().rank);
  pairs.size[static_cast<size_t>(pairs.rank - 1)] = 2;
  Tensor result = tape.make(contiguous(pairs), promote(x.dtype(), y.dtype()), kStack.name);
  Tape::attach(node, result);
  return result;
}

Tensor cat_to_empty(DType empty, const Tensor& self, int dim) {
  Tape& tape = self.tape();
  Node* node = tape.record(kCat, {&self});
  if (node != nullptr) node->dims = {dim, 0};
  Tensor result = tape.make(contiguous(self.shape()), promote(empty, self.dtype()), kCat.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
