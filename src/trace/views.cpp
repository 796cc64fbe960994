#include "trace/ops.h"
#include "trace/pick.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

void transpose_backward(Gradients& g) { g.out[0] = transpose(g.in[0], g.node.dims[0], g.node.dims[1]); }
const Op kTranspose = {"transpose", transpose_backward};

void split_dim_backward(Gradients& g) { g.out[0] = merge_dims(g.in[0], g.node.dims[0], 2); }
const Op kSplitDim = {"view", split_dim_backward};

// The merged dimensions come apart again one by one, outermost first.
void merge_dims_backward(Gradients& g) {
  const KeptShape& input = g.input_shape(0);
  const int first = g.node.dims[0];
  Tensor gradient = g.in[0];
  for (int i = 0; i + 1 < g.node.dims[1]; ++i) {
    Expr inner = 1;
    for (int k = i + 1; k < g.node.dims[1]; ++k) inner = inner * input[first + k];
    gradient = split_dim(gradient, first + i, input[first + i], inner);
  }
  g.out[0] = std::move(gradient);
}
const Op kMergeDims = {"view", merge_dims_backward};

void expand_backward(Gradients& g) { g.out[0] = g.in[0]; }  // the engine sums it to the input's sizes
const Op kExpand = {"expand", expand_backward};

void unsqueeze_backward(Gradients& g) {
  const KeptShape& input = g.input_shape(0);
  const int dim = g.node.dims[0];
  g.out[0] = dim < input.rank ? merge_dims(g.in[0], dim, 2) : merge_dims(g.in[0], dim - 1, 2);
}
const Op kUnsqueeze = {"unsqueeze", unsqueeze_backward};

void slice_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "slice_backward");
}
const Op kSlice = {"slice", slice_backward};

void alias_backward(Gradients& g) { g.out[0] = g.in[0]; }
const Op kAlias = {"alias", alias_backward};

void select_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "select_backward");
}
const Op kSelect = {"select", select_backward};

// Zeros of the input's sizes, filled in place.
void index_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "new_zeros");
}
const Op kIndex = {"index", index_backward};

void split_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "cat");
}
const Op kSplit = {"split", split_backward};

void clone_backward(Gradients& g) { g.out[0] = g.in[0]; }
const Op kClone = {"clone", clone_backward};

Tensor view(const Op& op, const Tensor& input, const KeptShape& shape, int a, int b) {
  Tape& tape = input.tape();
  Node* node = tape.record(op, {&input});
  Tensor result = tape.look(input, shape, true);
  if (node != nullptr) node->dims = {a, b};
  Tape::attach(node, result);
  return result;
}

}  // namespace

Tensor transpose(Tensor input, int a, int b) {
  const Tensor x = std::move(input);
  return view(kTranspose, x, transposed(x.shape(), a, b), a, b);
}

Tensor unsqueeze(Tensor input, int dim) {
  const Tensor x = std::move(input);
  return view(kUnsqueeze, x, unsqueezed(x.shape(), dim), dim, 0);
}

Tensor expand(Tensor input, const KeptShape& sizes) {
  const Tensor x = std::move(input);
  return view(kExpand, x, expanded(x.shape(), sizes), 0, 0);
}

Tensor split_dim(Tensor input, int dim, Expr outer, Expr inner) {
  const Tensor x = std::move(input);
  return view(kSplitDim, x, split(x.shape(), dim, outer, inner), dim, 0);
}

Tensor merge_dims(Tensor input, int first, int count) {
  Tensor x = std::move(input);
  if (!can_merge(x.shape(), first, count)) x = clone(x, contiguous(x.shape()));
  return view(kMergeDims, x, merged(x.shape(), first, count), first, count);
}

Tensor alias(Tensor input) {
  const Tensor x = std::move(input);
  return view(kAlias, x, x.shape(), 0, 0);
}

Tensor slice(Tensor input, int dim, Expr length) {
  const Tensor x = std::move(input);
  return view(kSlice, x, narrowed(x.shape(), dim, length), dim, 0);
}

Tensor every_second(Tensor input) {
  const Tensor x = std::move(input);
  const int last = x.shape().rank - 1;
  Shape taken = narrowed(x.shape(), last, exact_div(x.size(last), 2));
  Expr& stride = taken.stride[static_cast<size_t>(last)];
  stride = 2 * stride;
  return view(kSlice, x, x.tape().keep(taken), last, 0);
}

std::array<Tensor, 3> split_in_three(Tensor input, int dim) {
  const Expr third = exact_div(input.size(dim), 3);
  return split_in_three(std::move(input), dim, {third, third, third});
}

std::array<Tensor, 3> split_in_three(Tensor input, int dim, const std::array<Expr, 3>& lengths) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kSplit, {&x});
  std::array<Tensor, 3> parts;
  for (uint8_t i = 0; i < 3; ++i) {
    parts[i] = tape.look(x, narrowed(x.shape(), dim, lengths[i]), true);
    Tape::attach(node, parts[i], i);
  }
  return parts;
}

std::array<Tensor, 2> split_in_two(Tensor input, int dim) {
  const Expr half = exact_div(input.size(dim), 2);
  return split_in_two(std::move(input), dim, half);
}

std::array<Tensor, 2> split_in_two(Tensor input, int dim, Expr first) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kSplit, {&x});
  const std::array<Expr, 2> lengths = {first, x.size(dim) - first};
  std::array<Tensor, 2> parts;
  for (uint8_t i = 0; i < 2; ++i) {
    parts[i] = tape.look(x, narrowed(x.shape(), dim, lengths[i]), true);
    Tape::attach(node, parts[i], i);
  }
  return parts;
}

Tensor select_first(Tensor input) {
  const Tensor x = std::move(input);
  return view(kSelect, x, merged(narrowed(x.shape(), 1, 1), 0, 2), 1, 0);
}

Tensor select_row(Tensor input) {
  const Tensor x = std::move(input);
  return view(kSelect, x, merged(narrowed(x.shape(), 0, 1), 0, 2), 0, 0);
}

Tensor select_at(Tensor input, int dim) {
  const Tensor x = std::move(input);
  return view(kSelect, x, merged(narrowed(x.shape(), dim, 1), dim, 2), dim, 0);
}

Tensor pick(Tensor input, int dim) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kIndex, {&x});
  const Tensor which = tape.make({1}, DType::kInt64, "_to_copy");
  tape.save(node, which);
  Tensor result = tape.make(contiguous(narrowed(x.shape(), dim, 1)), x.dtype(), kIndex.name);
  Tape::attach(node, result);
  return result;
}

Tensor index_rows(Tensor input, const Tensor& rows, const Tensor& columns) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kIndex, {&x});
  tape.save(node, rows);
  tape.save(node, columns);
  Tensor result = tape.make({rows.size(0), x.size(2)}, x.dtype(), kIndex.name);
  Tape::attach(node, result);
  return result;
}

Tensor take_rows(Tensor input, const Tensor& rows) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kIndex, {&x});
  tape.save(node, rows);
  Shape taken = x.shape();
  taken.size[0] = rows.size(0);
  Tensor result = tape.make(contiguous(taken), x.dtype(), kIndex.name);
  Tape::attach(node, result);
  return result;
}

Tensor index_embeddings(const Tensor& weight, const Tensor& indices) {
  Tape& tape = weight.tape();
  Node* node = tape.record(kIndex, {&weight});
  tape.save(node, indices);
  Tensor result = tape.make({indices.size(0), indices.size(1), weight.size(1)}, weight.dtype(), kIndex.name);
  Tape::attach(node, result);
  return result;
}

Tensor contiguous(Tensor input) {
  Tensor x = std::move(input);
  return is_contiguous(x.shape()) ? x : clone(x, contiguous(x.shape()));
}

Tensor clone(const Tensor& input, const KeptShape& layout) {
  Tape& tape = input.tape();
  Node* node = tape.record(kClone, {&input});
  Tensor result = tape.make(layout, input.dtype(), "clone");
  Tape::attach(node, result);
  return result;
}

Tensor detach(const Tensor& input) { return input.tape().look(input, input.shape(), input->is_view); }

Tensor sum_to(Tensor input, const KeptShape& sizes) {
  const Tensor x = std::move(input);
  Tensor sum = x.tape().make(contiguous(sizes), x.dtype(), "sum");
  sum->is_view = sizes.rank != x.shape().rank;  // leading dimensions are viewed away
  run_reduction(x, sizes);
  return sum;
}

}  // namespace peakmem
