// What a mixture of experts is made of: choosing experts, and products by groups of rows.
#include "trace/ops.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

/// A shape without one of its dimensions, laid out row-major.
Shape without(const Shape& shape, int dim) {
  Shape rest;
  for (int i = 0; i < shape.rank; ++i)
    if (i != dim) rest.size[static_cast<size_t>(rest.rank++)] = shape[i];
  return contiguous(rest);
}

void sum_dim_backward(Gradients& g) { g.out[0] = expand(unsqueeze(g.in[0], g.node.dims[0]), g.input_shape(0)); }
const Op kSumDim = {"sum", sum_dim_backward};

void sum_last_backward(Gradients& g) { g.out[0] = expand(g.in[0], g.input_shape(0)); }
const Op kSumLast = {"sum", sum_last_backward};

void sum_backward(Gradients& g) { g.out[0] = expand(g.in[0], g.input_shape(0)); }
const Op kSum = {"sum", sum_backward};

void mean_backward(Gradients& g) { g.out[0] = div_scalar(expand(g.in[0], g.input_shape(0))); }
const Op kMeanAll = {"mean", mean_backward};

// Zeros of the input's sizes, filled in place.
void topk_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "new_zeros");
}
const Op kTopk = {"topk", topk_backward};

// Inputs: self 0, other 1. -grad * ((self / other) / other), and grad / other.
void div_backward(Gradients& g) {
  {
    const Tensor quotient = div(g.saved(0), g.saved(1));
    const Tensor again = div(quotient, g.saved(1));
    const Tensor negative = neg(g.in[0]);
    g.out[1] = mul(negative, again);
  }
  g.out[0] = div(g.in[0], g.saved(1));
}
const Op kDiv = {"div", div_backward};

// Inputs: input 0, weight 1. Alphabetical, as the generated code goes: the gradient of `mat2` comes first.
/// CUTLASS's kernel for Hopper (GroupMM.cu, torch 2.13): for every group three pointers (of which there are an even
/// number, so that what follows is aligned), three strides of 8 bytes and a size of three times 4; and four descriptors
/// of 128 bytes for each multiprocessor. Elsewhere, and in other dtypes, groups are multiplied one by one.
void run_grouped_mm(Tape& tape, DType dtype, Expr groups) {
  constexpr int kHopper = 90;
  if (tape.processor.compute_capability != kHopper || dtype != DType::kBFloat16) return;
  const Expr pointers = round_up(groups, 2) * 3 * 8;
  const Tensor arguments = workspace(tape, pointers + groups * (3 * 8 + 3 * 4), "_grouped_mm");
  const Tensor descriptors = workspace(tape, tape.processor.multiprocessors * 4 * 128, "_grouped_mm");
}

void grouped_mm_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  const Tensor ends = g.saved(size_t{g.node.saved_count} - 1);
  for (const size_t i : {size_t{1}, size_t{0}}) {
    if (!g.needs(i)) continue;
    const KeptShape& shape = g.input_shape(i);
    g.out[i] = tape.make(contiguous(shape), g.in[0].dtype(), "_grouped_mm");
    count_grouped_product(g.out[i], ends.size(0), g.in[0].size(0), shape[-1], g.in[0].size(1));
    run_grouped_mm(tape, g.in[0].dtype(), ends.size(0));
  }
}
const Op kGroupedMm = {"_grouped_mm", grouped_mm_backward};

// Inputs: self 0, source 1.
void index_add_backward(Gradients& g) {
  g.out[0] = g.in[0];
  if (g.needs(1)) g.out[1] = g.in[0].tape().make(contiguous(g.input_shape(1)), g.in[0].dtype(), "index_select");
}
const Op kIndexAdd = {"index_add", index_add_backward};

}  // namespace

namespace {

/// Autocast has sums in fp32, without a cast.
DType summed(const Tensor& x) { return x.tape().autocast.enabled ? DType::kFloat32 : x.dtype(); }

}  // namespace

Tensor sum_dim(Tensor self, int dim) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kSumDim, {&x});
  if (node != nullptr) node->dims = {dim, 0};
  Tensor result = tape.make(without(x.shape(), dim), summed(x), kSumDim.name);
  Tape::attach(node, result);
  return result;
}

Tensor sum_all(Tensor self) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kSum, {&x});
  Tensor result = tape.make({}, x.dtype(), kSum.name);
  Tape::attach(node, result);
  return result;
}

Tensor mean_all(Tensor self) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kMeanAll, {&x});
  Tensor result = tape.make({}, x.dtype(), kMeanAll.name);
  Tape::attach(node, result);
  return result;
}

std::array<Tensor, 2> topk(Tensor self, Expr k) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kTopk, {&x});
  const Shape chosen = contiguous(narrowed(x.shape(), -1, k));
  Tensor values = tape.make(chosen, x.dtype(), kTopk.name);
  Tape::attach(node, values);
  Tensor indices = tape.make(chosen, DType::kInt64, kTopk.name);
  tape.save(node, indices);
  return {std::move(values), std::move(indices)};
}

Tensor sum_last(const Tensor& self) {
  Tape& tape = self.tape();
  Node* node = tape.record(kSumLast, {&self});
  Tensor sum = tape.make(reduced_last(self.shape()), summed(self), kSumLast.name);
  Tape::attach(node, sum);
  return sum;
}

Tensor divide_by_sum(Tensor self) {
  const Tensor sum = sum_last(self);
  return divide_in_place(std::move(self), sum);
}

Tensor divide(Tensor self, const Tensor& other) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kDiv, {&x, &other});
  tape.save(node, x);
  tape.save(node, other);
  Tensor result = tape.make(broadcast(x.shape(), other.shape()), promote(x.dtype(), other.dtype()), kDiv.name);
  Tape::attach(node, result);
  return result;
}

// What the division needs of the values before it is a copy.
Tensor divide_in_place(Tensor self, const Tensor& other) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kDiv, {&x, &other});
  if (node != nullptr) {
    const Tensor original = tape.make(contiguous(x.shape()), x.dtype(), "clone");
    tape.save(node, original);
    tape.save(node, other);
  }
  Tensor result = tape.look(x, x.shape(), false);
  Tape::attach(node, result);
  return result;
}

Tensor index_add(Tensor self, const Tensor& rows, Tensor source) {
  const Tensor x = std::move(self);
  const Tensor added = std::move(source);
  Tape& tape = x.tape();
  Node* node = tape.record(kIndexAdd, {&x, &added});
  tape.save(node, rows);
  if (added->requires_grad) tape.save(node, added);
  Tensor result = tape.look(x, x.shape(), false);
  Tape::attach(node, result);
  return result;
}

Tensor grouped_linear(Tensor input, const Tensor& weight, const Tensor& ends) {
  const Tensor x = to(std::move(input), weight.dtype());
  Tape& tape = x.tape();
  Node* node = tape.record(kGroupedMm, {&x, &weight});
  if (weight->requires_grad) tape.save(node, x);
  if (x->requires_grad) tape.save(node, weight);
  tape.save(node, ends);
  Tensor result = tape.make({x.size(0), weight.size(1)}, x.dtype(), kGroupedMm.name);
  count_grouped_product(result, ends.size(0), x.size(0), x.size(1), weight.size(1));
  run_grouped_mm(tape, x.dtype(), ends.size(0));
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
