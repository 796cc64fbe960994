#include "torchtitan/dtensor.h"

#include <utility>

#include "trace/embedding_workspace.h"
#include "trace/ops.h"

namespace peakmem::titan {
namespace {

Shape with_size(Shape shape, int dim, Expr size) {
  shape.size[static_cast<size_t>(dim)] = size;
  return contiguous(shape);
}

/// all_gather_tensor along `dim`: gathered along the first dimension, cut, and put together along the other, which of a
/// single sequence is how it lies already (_maybe_view_chunk_cat).
Tensor gather(const Tensor& x, int64_t ranks, int dim) {
  Tape& tape = x.tape();
  const Shape stacked = with_size(x.shape(), 0, ranks * x.size(0));
  const Tensor gathered = tape.make(stacked, x.dtype(), "all_gather_into_tensor");
  const Tensor waited = tape.make(stacked, x.dtype(), "wait_tensor");
  const bool is_view = dim == 1 && identical(x.size(0), Expr(1));
  if (is_view) return tape.look(waited, with_size(x.shape(), dim, ranks * x.size(dim)), true);
  return tape.make(with_size(x.shape(), dim, ranks * x.size(dim)), x.dtype(), "cat");
}

/// reduce_scatter_tensor along the sequence: its parts are put one behind the other first.
Tensor reduce_scatter(const Tensor& x, int64_t ranks) {
  Tape& tape = x.tape();
  const Shape part = with_size(x.shape(), 1, exact_div(x.size(1), ranks));
  const Tensor sent = tape.make(with_size(part, 0, ranks * x.size(0)), x.dtype(), "cat");
  const Tensor received = tape.make(part, x.dtype(), "reduce_scatter_tensor");
  return tape.make(part, x.dtype(), "wait_tensor");
}

const Op kGather = {"Redistribute", run_function};
const Op kScatter = {"Redistribute", run_function};
const Op kGatherLogits = {"Redistribute", run_function};
const Op kEmbedding = {"embedding", run_function};
const Op kCrossEntropy = {"nll_loss", run_function};

/// A tensor [rows...] of numbers or truths beside another.
Tensor beside(const Tensor& like, DType dtype, const char* op) {
  return like.tape().make(contiguous(like.shape()), dtype, op);
}

/// _mask_tensor of the embedding's and the loss's rows that are other ranks': which they are, and where the rest lie.
struct Masked {
  Tensor mask;
  Tensor index;
};
Masked masked(const Tensor& index) {
  Masked result;
  {
    const Tensor below = beside(index, DType::kBool, "lt");
    const Tensor above = beside(index, DType::kBool, "ge");
    result.mask = beside(index, DType::kBool, "__or__");
  }
  const Tensor clone = beside(index, DType::kInt64, "clone");
  result.index = beside(index, DType::kInt64, "sub");
  return result;
}

}  // namespace

Tensor gather_sequence(Tensor input, int64_t ranks) {
  if (ranks == 1) return input;
  const Tensor x = std::move(input);
  Node* node = x.tape().record(kGather, {&x});
  Tensor output = gather(x, ranks, 1);
  Tape::attach(node, output);
  if (node != nullptr) node->function = [ranks](Gradients& g) { g.out[0] = reduce_scatter(g.in[0], ranks); };
  return output;
}

Tensor scatter_sequence(Tensor input, int64_t ranks) {
  if (ranks == 1) return input;
  const Tensor x = std::move(input);
  Node* node = x.tape().record(kScatter, {&x});
  Tensor output = reduce_scatter(x, ranks);
  Tape::attach(node, output);
  if (node != nullptr) node->function = [ranks](Gradients& g) { g.out[0] = gather(g.in[0], ranks, 1); };
  return output;
}

Tensor gather_vocabulary(Tensor logits, int64_t ranks) {
  if (ranks == 1) return logits;
  const Tensor x = std::move(logits);
  Node* node = x.tape().record(kGatherLogits, {&x});
  Tensor output = gather(x, ranks, x.shape().rank - 1);
  Tape::attach(node, output);
  if (node != nullptr)
    node->function = [](Gradients& g) {
      g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "clone");
    };
  return output;
}

namespace {

void embedding_backward(Gradients& g, int64_t ranks) {
  Tape& tape = g.in[0].tape();
  const KeptShape& part = g.input_shape(0);
  const DType dtype = g.in[0].dtype();
  const Tensor tokens = g.saved(0);
  Tensor whole = run_embedding_backward(tape, tokens.shape().elements(), with_size(part, 0, ranks * part[0]), dtype);
  g.out[0] = tape.look(whole, contiguous(part), false);
}

}  // namespace

Tensor embedding_of_rows(const Tensor& tokens, const Tensor& weight, int64_t ranks) {
  if (ranks == 1) return embedding(tokens, weight);
  Tape& tape = weight.tape();
  Node* node = tape.record(kEmbedding, {&weight});
  tape.save(node, tokens);
  Masked masks = masked(tokens);
  Tensor output = tape.make({tokens.size(0), tokens.size(1), weight.size(1)}, weight.dtype(), kEmbedding.name);
  Tape::attach(node, output);
  if (node != nullptr) node->function = [ranks](Gradients& g) { embedding_backward(g, ranks); };
  return output;
}

namespace {

/// all_reduce and wait_tensor.
Tensor all_reduce(const Tensor& x) {
  const Tensor sent = beside(x, x.dtype(), "all_reduce");
  return beside(x, x.dtype(), "wait_tensor");
}

Tensor row_numbers(const Tensor& logits, DType dtype, const char* op) {
  return logits.tape().make({logits.size(0), 1}, dtype, op);
}

// _log_softmax.
Tensor log_softmax_of_parts(const Tensor& logits) {
  Tape& tape = logits.tape();
  const auto alike = [&](const char* op) { return tape.make(contiguous(logits.shape()), logits.dtype(), op); };
  Tensor largest = row_numbers(logits, logits.dtype(), "amax");
  largest = all_reduce(largest);
  const Tensor shifted = alike("sub");
  Tensor sum;
  {
    const Tensor powers = alike("exp");
    sum = row_numbers(logits, logits.dtype(), "sum");
  }
  sum = all_reduce(sum);
  const Tensor log = row_numbers(logits, logits.dtype(), "log");
  return alike("sub");
}

/// What _nll_loss_forward makes of log-probabilities: the loss and how many rows counted.
struct Loss {
  Tensor sum;
  Tensor total_weight;
};
Loss nll_loss_of_parts(const Tensor& log_probabilities, const Tensor& labels) {
  Tape& tape = labels.tape();
  const DType dtype = log_probabilities.dtype();
  Tensor target;
  {
    const Tensor counts = beside(labels, DType::kBool, "ne");
    target = beside(labels, DType::kInt64, "where");
  }
  const Tensor column = tape.look(target, Shape{labels.size(0), 1}, true);
  Masked masks = masked(column);
  const Tensor partial = beside(column, dtype, "gather");
  masks.mask.reset();
  const Tensor picked = all_reduce(partial);
  Tensor result = beside(labels, dtype, "neg");
  {
    const Tensor counts = beside(labels, DType::kBool, "ne");
    result = beside(labels, dtype, "where");
  }
  Loss loss;
  Tensor count;
  {
    const Tensor counts = beside(labels, DType::kBool, "ne");
    count = tape.make(Shape{}, DType::kInt64, "sum");
  }
  loss.total_weight = tape.make(Shape{}, dtype, "to");
  count.reset();
  loss.sum = tape.make(Shape{}, dtype, "sum");
  return loss;
}

// _nll_loss_and_log_softmax_backward.
void cross_entropy_backward(Gradients& g) {
  const Tensor log_probabilities = g.saved(0);
  const Tensor labels = g.saved(1);
  Tape& tape = labels.tape();
  const DType dtype = log_probabilities.dtype();
  const auto alike = [&](const char* op) { return tape.make(contiguous(log_probabilities.shape()), dtype, op); };
  const Tensor column = tape.look(labels, Shape{labels.size(0), 1}, true);
  Tensor target;
  {
    const Tensor counts = beside(column, DType::kBool, "ne");
    target = beside(column, DType::kInt64, "where");
  }
  const Tensor update = alike("zeros_like");
  const Masked masks = masked(labels);
  Tensor values;
  {
    const Tensor floats = beside(labels, dtype, "to");
    values = beside(labels, dtype, "sub");
  }
  const Tensor rows = beside(labels, DType::kInt64, "arange");
  Tensor scale;
  {
    const Tensor counts = beside(column, DType::kBool, "ne");
    scale = beside(column, dtype, "where");
  }
  Tensor sum;
  {
    const Tensor powers = alike("exp");
    sum = alike("add");
  }
  g.out[0] = alike("mul");
}

}  // namespace

Tensor parallel_cross_entropy(Tensor logits, const Tensor& labels) {
  const Tensor x = std::move(logits);
  Tape& tape = x.tape();
  Node* node = tape.record(kCrossEntropy, {&x});
  const Tensor log_probabilities = log_softmax_of_parts(x);
  Loss loss = nll_loss_of_parts(log_probabilities, labels);
  for (const Tensor* saved : {&log_probabilities, &labels, static_cast<const Tensor*>(&loss.total_weight)})
    tape.save(node, *saved);
  Tape::attach(node, loss.sum);
  if (node != nullptr) node->function = cross_entropy_backward;
  return std::move(loss.sum);
}

}  // namespace peakmem::titan
