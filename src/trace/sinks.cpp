#include "trace/sinks.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

// value_selecting_reduction_backward: zeros of the input's sizes, filled in place.
void max_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "new_zeros");
}
const Op kMax = {"max", max_backward};

// where(self <= max, grad, 0), or where((self >= min).logical_and_(self <= max), grad, 0).
void clamp_backward(Gradients& g, bool both) {
  Tape& tape = g.in[0].tape();
  const KeptShape& shape = g.saved(0).shape();
  const Tensor zero = tape.make({}, g.in[0].dtype(), "scalar_tensor");
  const Tensor above = both ? tape.make(preserved(shape), DType::kBool, "ge") : Tensor();
  const Tensor below = tape.make(preserved(shape), DType::kBool, "le");
  g.out[0] = tape.make(preserved(shape), g.in[0].dtype(), "where");
}
void clamp_above_backward(Gradients& g) { clamp_backward(g, false); }
void clamp_both_backward(Gradients& g) { clamp_backward(g, true); }
const Op kClampAbove = {"clamp", clamp_above_backward};
const Op kClampBoth = {"clamp", clamp_both_backward};

// Inputs: input 0, weight 1; the gradient of `mat2` comes first.
void grouped_backward(Gradients& g) {
  const Expr groups = g.saved(size_t{g.node.saved_count} - 1).size(0);
  for (const size_t i : {size_t{1}, size_t{0}}) {
    if (!g.needs(i)) continue;
    const KeptShape& shape = g.input_shape(i);
    g.out[i] = g.in[0].tape().make(contiguous(shape), g.in[0].dtype(), "_grouped_mm");
    count_grouped_product(g.out[i], groups, g.in[0].size(0), shape[1], g.in[0].size(1));
  }
}
const Op kGroupedProduct = {"_grouped_mm", grouped_backward};

}  // namespace

Tensor max_last(Tensor self) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kMax, {&x});
  Tensor values = tape.make(reduced_last(x.shape()), x.dtype(), kMax.name);
  Tape::attach(node, values);
  tape.save(node, tape.make(reduced_last(x.shape()), DType::kInt64, kMax.name));
  return values;
}

Tensor clamp(Tensor self, bool both) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(both ? kClampBoth : kClampAbove, {&x});
  tape.save(node, x);
  Tensor result = tape.make(preserved(x.shape()), x.dtype(), "clamp");
  Tape::attach(node, result);
  return result;
}

Tensor grouped_product(Tensor input, const Tensor& weight, const Tensor& ends) {
  const Tensor x = to(std::move(input), weight.dtype());
  Tape& tape = x.tape();
  Node* node = tape.record(kGroupedProduct, {&x, &weight});
  if (weight->requires_grad) tape.save(node, x);
  if (x->requires_grad) tape.save(node, weight);
  tape.save(node, ends);
  Tensor result = tape.make({x.size(0), weight.size(2)}, x.dtype(), kGroupedProduct.name);
  count_grouped_product(result, ends.size(0), x.size(0), x.size(1), weight.size(2));
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
