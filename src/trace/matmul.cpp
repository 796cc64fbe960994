#include "trace/ops.h"
#include "trace/pick.h"

namespace peakmem {
namespace {

Tensor made(const char* name, const Tensor& like, const KeptShape& shape) {
  return like.tape().make(shape, like.dtype(), name);
}

// Gradients of a product are transposed so that they lie as their operand does (mm_mat1_backward, mm_mat2_backward in
// FunctionsManual.cpp): a weight seen through t() gets a gradient that its own t() makes contiguous again.
Tensor laid_out_as(const char* name, const Tensor& like, const KeptShape& operand) {
  if (is_contiguous(operand) || !is_contiguous(transposed(operand, 0, 1))) return made(name, like, contiguous(operand));
  const Tensor flipped = made(name, like, contiguous(transposed(operand, 0, 1)));
  return transpose(flipped, 0, 1);
}

/// The gradient of an operand of a product of two matrices, a product of the same three sizes.
Tensor operand_gradient(const Gradients& g, size_t left, size_t operand) {
  Tensor made = laid_out_as("mm", g.in[0], g.input_shape(operand));
  const Expr inner = g.input_shape(operand)[operand == left ? 1 : 0];
  count_product(made, g.in[0].size(0), inner, g.in[0].size(1));
  return made;
}

// Inputs of mm: self 0, mat2 1.
void mm_backward(Gradients& g) {
  if (g.needs(1)) g.out[1] = operand_gradient(g, 0, 1);
  if (g.needs(0)) g.out[0] = operand_gradient(g, 0, 0);
}
const Op kMm = {"mm", mm_backward};

// Inputs of addmm: the bias 0, mat1 1, mat2 2. The engine sums the bias's gradient over the rows.
void addmm_backward(Gradients& g) {
  if (g.needs(1)) g.out[1] = operand_gradient(g, 1, 1);
  if (g.needs(2)) g.out[2] = operand_gradient(g, 1, 2);
  if (g.needs(0)) g.out[0] = g.in[0];
}
const Op kAddmm = {"addmm", addmm_backward};

void bmm_backward(Gradients& g) {
  for (const size_t operand : {size_t{1}, size_t{0}}) {
    if (!g.needs(operand)) continue;
    const KeptShape& shape = g.input_shape(operand);
    g.out[operand] = made("bmm", g.in[0], contiguous(shape));
    count_product(g.out[operand], g.in[0].size(1), shape[operand == 0 ? 2 : 1], g.in[0].size(2), g.in[0].size(0));
  }
}
const Op kBmm = {"bmm", bmm_backward};

/// Products keep the left operand only for the right one's gradient, and the other way round; in the order of their
/// names: mat1 before mat2, but mat2 before self.
void save_operands(Tape& tape, Node* node, const Tensor& mat1, const Tensor& mat2) {
  if (mat2->requires_grad) tape.save(node, mat1);
  if (mat1->requires_grad) tape.save(node, mat2);
}
void save_self_and(const Tensor& mat2, const Tensor& self, Tape& tape, Node* node) {
  if (self->requires_grad) tape.save(node, mat2);
  if (mat2->requires_grad) tape.save(node, self);
}

Tensor mm(const Tensor& self, const Tensor& mat2) {
  Tape& tape = self.tape();
  Node* node = tape.record(kMm, {&self, &mat2});
  save_self_and(mat2, self, tape, node);
  Tensor result = tape.make(product(self.shape(), mat2.shape()), self.dtype(), kMm.name);
  count_product(result, self.size(0), self.size(1), mat2.size(1));
  Tape::attach(node, result);
  return result;
}

Tensor addmm(const Tensor& bias, const Tensor& mat1, const Tensor& mat2) {
  Tape& tape = mat1.tape();
  Node* node = tape.record(kAddmm, {&bias, &mat1, &mat2});
  save_operands(tape, node, mat1, mat2);
  Tensor result = tape.make(product(mat1.shape(), mat2.shape()), mat1.dtype(), kAddmm.name);
  count_product(result, mat1.size(0), mat1.size(1), mat2.size(1));
  Tape::attach(node, result);
  return result;
}

/// The rows of a product back in the sizes of its input: [B·T, out] as [B, T, out].
Tensor with_rows_of(Tensor rows, const Shape& input) {
  for (int i = 0; i + 2 < input.rank; ++i) {
    Expr inner = 1;
    for (int k = i + 1; k + 1 < input.rank; ++k) inner = inner * input[k];
    rows = split_dim(std::move(rows), i, input[i], inner);
  }
  return rows;
}

Tensor as_rows(const Tensor& input) {
  return input.shape().rank > 2 ? merge_dims(input, 0, input.shape().rank - 1) : input;
}

/// Autocast casts an op's arguments from right to left.
void cast_operands(Tensor& left, Tensor& right) {
  right = to_low_precision(std::move(right));
  left = to_low_precision(std::move(left));
}

}  // namespace

Tensor bmm(const Tensor& self, const Tensor& mat2) {
  Tape& tape = self.tape();
  Node* node = tape.record(kBmm, {&self, &mat2});
  save_self_and(mat2, self, tape, node);
  Tensor result = tape.make(product(self.shape(), mat2.shape()), self.dtype(), kBmm.name);
  count_product(result, self.size(1), self.size(2), mat2.size(2), self.size(0));
  Tape::attach(node, result);
  return result;
}

namespace {

// LinearFunctionForZeroStage3 of DeepSpeed 0.19.8 (runtime/zero/linear.py). Inputs: input 0, weight 1, bias 2, which
// are all saved; the gradients are there together, and the bias's is a sum over all rows.
void linear_function_backward(Gradients& g) {
  if (g.needs(0)) g.out[0] = made("mm", g.in[0], contiguous(g.input_shape(0)));
  if (g.needs(1)) g.out[1] = made("mm", g.in[0], contiguous(g.input_shape(1)));
  if (!g.needs(2)) return;
  g.out[2] = sum_to(g.in[0], g.input_shape(2));
  g.out[2]->is_view = false;
}
const Op kLinearFunction = {"linear_function", linear_function_backward};

Tensor linear_function(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  Tape& tape = input.tape();
  Node* node = tape.record(kLinearFunction, {&input, &weight, &bias});
  Shape shape = contiguous(input.shape());
  shape.size[static_cast<size_t>(shape.rank - 1)] = weight.size(0);
  Tensor result = tape.make(contiguous(shape), input.dtype(), kMm.name);
  for (const Tensor* saved : {&input, &weight, &bias})
    if (*saved) tape.save(node, *saved);
  Tape::attach(node, result);
  return result;
}

}  // namespace

Tensor linear(Tensor input, const Tensor& weight, const Tensor& bias) {
  const Tensor held = std::move(input);  // what autocast casts lives on until the op returns
  if (held.tape().linear_function) return linear_function(held, weight, bias);
  Tensor x = held;
  const Tensor b = bias ? to_low_precision(bias) : bias;
  Tensor w = weight;
  cast_operands(x, w);
  const KeptShape& shape = x.shape();
  if (b) {
    const Tensor rows = as_rows(x);
    return with_rows_of(addmm(b, rows, transpose(w, 0, 1)), shape);
  }
  const Tensor transposed_weight = transpose(w, 0, 1);
  const Tensor rows = as_rows(x);
  return with_rows_of(mm(rows, transposed_weight), shape);
}

Tensor matmul_transposed(Tensor input, const Tensor& weight, const Tensor& bias) {
  const Tensor held = std::move(input);
  Tensor product;
  {
    const Tensor view = transpose(weight, 0, 1);
    Tensor x = held;
    Tensor w = view;
    cast_operands(x, w);
    product = with_rows_of(mm(as_rows(x), w), x.shape());
  }
  return bias ? add(product, bias) : product;
}

Tensor conv1d(Tensor input, const Tensor& weight, const Tensor& bias) {
  const Tensor x = std::move(input);
  const KeptShape& shape = x.shape();
  Tensor rows = as_rows(x);
  Tensor w = weight;
  cast_operands(rows, w);
  const Tensor b = to_low_precision(bias);
  return with_rows_of(addmm(b, rows, w), shape);
}

// One product of all rows where the matrix wants a gradient or the rows lie as such (should_fold in LinearAlgebra.cpp,
// torch 2.13), else one for each sequence.
Tensor matmul_by_matrix(Tensor input, const Tensor& matrix) {
  const Tensor held = std::move(input);
  Tensor x = held;
  Tensor w = matrix;
  cast_operands(x, w);
  const KeptShape& shape = x.shape();
  if (w->requires_grad || can_merge(shape, 0, 2)) return with_rows_of(mm(as_rows(x), w), shape);
  return bmm(x, expand(unsqueeze(w, 0), {shape[0], w.size(0), w.size(1)}));
}

Tensor matmul_of_rows(Tensor self, Tensor other) {
  const std::array<Tensor, 2> held = {std::move(self), std::move(other)};
  Tensor a = held[0];
  Tensor b = held[1];
  cast_operands(a, b);
  return mm(a, b);
}

Tensor matmul_broadcast(Tensor self, Tensor other) {
  const std::array<Tensor, 2> held = {std::move(self), std::move(other)};
  Tensor a = held[0];
  Tensor b = held[1];
  cast_operands(a, b);
  const KeptShape& shape = a.shape();
  const KeptShape& s = b.shape();
  const Tensor left = merge_dims(expand(a, a.shape()), 0, 2);
  const Tensor right = merge_dims(expand(b, {shape[0], shape[1], s[2], s[3]}), 0, 2);
  return split_dim(bmm(left, right), 0, shape[0], shape[1]);
}

Tensor matmul(Tensor self, Tensor other) {
  const std::array<Tensor, 2> held = {std::move(self), std::move(other)};
  Tensor a = held[0];
  Tensor b = held[1];
  cast_operands(a, b);
  const KeptShape& shape = a.shape();
  const Tensor left = merge_dims(expand(a, a.shape()), 0, 2);
  const Tensor right = merge_dims(expand(b, b.shape()), 0, 2);
  return split_dim(bmm(left, right), 0, shape[0], shape[1]);
}

}  // namespace peakmem
