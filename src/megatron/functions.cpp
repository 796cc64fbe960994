#include "megatron/functions.h"

namespace peakmem::mcore {
namespace {

const Op kLinear = {"LinearWithGradAccumulation", run_function};
const Op kScatter = {"ScatterToSequenceParallelRegion", run_function};
const Op kGather = {"GatherFromSequenceParallelRegion", run_function};
const Op kReduceScatter = {"ReduceScatterToSequenceParallelRegion", run_function};

/// The same sizes with another first dimension, laid out row-major.
Shape with_first(const Shape& shape, Expr first) {
  Shape other = shape;
  other.size[0] = first;
  return contiguous(other);
}

Shape with_last(const Shape& shape, Expr last) {
  Shape other = shape;
  other.size[static_cast<size_t>(shape.rank - 1)] = last;
  return contiguous(other);
}

/// torch.matmul of rows and a matrix, outside of any graph: rows with gaps are copied for it.
Tensor product_of_rows(const Tensor& rows, Expr columns) {
  const Tensor dense = contiguous(rows);
  return rows.tape().make(with_last(rows.shape(), columns), rows.dtype(), "mm");
}

/// What a part of the sequence is gathered into.
Tensor whole(const Tensor& part, int64_t gathers, GlobalBuffer& buffer) {
  if (gathers == 1) return part;
  return buffer.get(with_first(part.shape(), gathers * part.size(0)), part.dtype());
}

void linear_backward(Gradients& g, int64_t gathers, GlobalBuffer& buffer, WeightGradients& gradients) {
  const Tensor input = g.saved(0);
  const Tensor weight = g.saved(1);
  Tape& tape = input.tape();
  const Tensor total_input = whole(input, gathers, buffer);
  const Tensor grad_input = product_of_rows(g.in[0], weight.size(1));
  const Tensor grad_output = contiguous(g.in[0]);
  const Tensor sub_grad_input = gathers > 1 ? tape.make(contiguous(input.shape()), input.dtype(), "empty") : grad_input;
  g.out[1] = gradients.make(weight, "mm");
  if (g.needs(2)) g.out[2] = tape.make(g.input_shape(2), weight.dtype(), "sum");
  if (g.needs(0)) g.out[0] = sub_grad_input;
}

}  // namespace

Tensor linear(Tensor input, const Tensor& weight, const Tensor& bias, int64_t gathers, GlobalBuffer& buffer,
              WeightGradients& gradients, DeferredProducts* deferred) {
  const Tensor x = std::move(input);
  Node* node = x.tape().record(kLinear, {&x, &weight, &bias});
  Tensor output;
  {
    const NoGrad no_grad(x.tape());
    const Tensor total_input = whole(x, gathers, buffer);
    output = product_of_rows(total_input, weight.size(0));
    if (bias) output = add(output, bias);
  }
  if (deferred != nullptr) deferred->keep_input(x);
  Tape::attach(node, output);
  x.tape().save(node, x);
  x.tape().save(node, weight);
  if (node != nullptr)
    node->function = [gathers, &buffer, &gradients, deferred](Gradients& g) {
      if (deferred != nullptr) deferred->keep_gradient(g.in[0]);
      linear_backward(g, gathers, buffer, gradients);
    };
  return output;
}

Tensor scatter_first(Tensor input, int64_t ranks) {
  if (ranks == 1) return input;
  const Tensor x = std::move(input);
  Node* node = x.tape().record(kScatter, {&x});
  Tensor output = x.tape().look(x, narrowed(x.shape(), 0, exact_div(x.size(0), ranks)), true);
  Tape::attach(node, output);
  if (node != nullptr)
    node->function = [](Gradients& g) {
      g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "empty");
    };
  return output;
}

Tensor gather_first(Tensor input, int64_t ranks, GlobalBuffer* buffer) {
  if (ranks == 1) return input;
  const Tensor x = std::move(input);
  Node* node = x.tape().record(kGather, {&x});
  const Shape gathered = with_first(x.shape(), ranks * x.size(0));
  Tensor output = buffer != nullptr ? buffer->get(gathered, x.dtype()) : x.tape().make(gathered, x.dtype(), "empty");
  Tape::attach(node, output);
  if (node != nullptr)
    node->function = [buffer](Gradients& g) {
      Tape& tape = g.in[0].tape();
      const KeptShape& shape = contiguous(g.input_shape(0));
      g.out[0] = buffer != nullptr ? buffer->get(shape, g.in[0].dtype()) : tape.make(shape, g.in[0].dtype(), "empty");
    };
  return output;
}

Tensor reduce_scatter_first(Tensor input, int64_t ranks) {
  if (ranks == 1) return input;
  const Tensor x = std::move(input);
  Node* node = x.tape().record(kReduceScatter, {&x});
  Tensor output = x.tape().make(with_first(x.shape(), exact_div(x.size(0), ranks)), x.dtype(), "empty");
  Tape::attach(node, output);
  if (node != nullptr)
    node->function = [](Gradients& g) {
      Tape& tape = g.in[0].tape();
      Tensor gathered = tape.make(contiguous(g.input_shape(0)), g.in[0].dtype(), "empty");
      const Tensor sent = contiguous(g.in[0]);
      g.out[0] = std::move(gathered);
    };
  return output;
}

}  // namespace peakmem::mcore
