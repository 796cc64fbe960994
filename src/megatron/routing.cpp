#include "megatron/routing.h"

#include <memory>

namespace peakmem::mcore {
namespace {

Tensor made(const Tensor& like, const Shape& shape, const char* op) {
  return like.tape().make(contiguous(shape), like.dtype(), op);
}

const Op kGating = {"RouterGatingLinear", run_function};

Tensor cast(const Tensor& x, DType dtype) {
  return x.dtype() == dtype ? x : x.tape().make(contiguous(x.shape()), dtype, "_to_copy");
}

// Inputs: input 0, weight 1.
void gating_backward(Gradients& g, bool te) {
  const Tensor input = g.saved(0);
  const Tensor weight = g.saved(1);
  const DType dtype = g.in[0].dtype();
  Tensor grad_input;
  {
    const Tensor matrix = cast(weight, dtype);
    grad_input = made(g.in[0], g.input_shape(0), "mm");
    if (!te) grad_input = cast(grad_input, input.dtype());
  }
  Tensor grad_weight;
  {
    const Tensor rows = cast(input, dtype);
    grad_weight = made(g.in[0], g.input_shape(1), "mm");
  }
  g.out[0] = cast(grad_input, input.dtype());
  grad_input.reset();
  g.out[1] = cast(grad_weight, weight.dtype());
}

void scatter_backward(Gradients& g) { g.out[0] = made(g.in[0], g.input_shape(0), "gather"); }
const Op kScatter = {"scatter", scatter_backward};

void put_backward(Gradients& g) { g.out[0] = made(g.in[0], g.input_shape(0), "index"); }
const Op kPut = {"index_put_", put_backward};

// torch.ones_like(loss) * scale, whose one dimension the engine sums away.
void attach_backward(Gradients& g) {
  g.out[0] = g.in[0];
  Tape& tape = g.in[0].tape();
  const Tensor ones = tape.make(Shape{}, DType::kFloat32, "ones_like");
  g.out[1] = tape.make({1}, DType::kFloat32, "mul");
}
const Op kAttach = {"MoEAuxLossAutoScaler", attach_backward};

void masked_select_backward(Gradients& g) {
  g.out[0] = made(g.in[0], g.input_shape(0), "zeros_like");
  const Tensor places = g.in[0].tape().make(contiguous(g.input_shape(0)), DType::kInt64, "_to_copy");
  g.in[0].reset();
}
const Op kMaskedSelect = {"masked_select", masked_select_backward};

void index_select_backward(Gradients& g) { g.out[0] = made(g.in[0], g.input_shape(0), "new_zeros"); }
const Op kIndexSelect = {"index_select", index_select_backward};

// index_add_ into zeros, which under deterministic algorithms has its source copied (index_put_ of a product).
void index_select_sorted_backward(Gradients& g) {
  g.out[0] = made(g.in[0], g.input_shape(0), "new_zeros");
  const Tensor copy = made(g.in[0], g.in[0].shape(), "mul");
}
const Op kIndexSelectSorted = {"index_select", index_select_sorted_backward};

void scatter_add_backward(Gradients& g) { g.out[0] = made(g.in[0], g.input_shape(0), "gather"); }
void masked_backward(Gradients& g) { g.out[0] = made(g.in[0], g.input_shape(0), "mul"); }
const Op kMasked = {"mul", masked_backward};

const Op kScatterAdd = {"scatter_add_", scatter_add_backward};

void all_to_all_backward(Gradients& g) { g.out[0] = made(g.in[0], g.input_shape(0), "new_empty"); }
const Op kAllToAll = {"AllToAll", all_to_all_backward};

const Op kSplit = {"split_with_sizes", run_function};

// Inputs: what was joined before 0, the part 1.
void cat_backward(Gradients& g) {
  if (g.needs(0)) g.out[0] = g.in[0];
  if (g.needs(1)) g.out[1] = g.in[0].tape().look(g.in[0], narrowed(g.in[0].shape(), 0, g.input_shape(1)[0]), true);
}
const Op kCat = {"cat", cat_backward};

}  // namespace

Tensor gating_linear(Tensor input, const Tensor& weight, DType dtype, bool te) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kGating, {&x, &weight});
  tape.save(node, x);
  tape.save(node, weight);
  Tensor output;
  {
    const Tensor rows = te ? x : cast(x, dtype);
    const Tensor matrix = te ? weight : cast(weight, dtype);
    output = tape.make({x.size(0), weight.size(0)}, dtype, "mm");
  }
  Tape::attach(node, output);
  if (node != nullptr) node->function = [te](Gradients& g) { gating_backward(g, te); };
  return output;
}

Tensor sinkhorn_iteration(const Tensor& logits) {
  Tape& tape = logits.tape();
  const Expr tokens = logits.size(0);
  const Expr experts = logits.size(1);
  const auto full = [&](const Shape& shape, const char* op) { return tape.make(shape, DType::kFloat32, op); };
  Tensor cost;
  {
    const Tensor widened = cast(logits, DType::kFloat32);
    cost = full({tokens, experts}, "exp");
  }
  const auto weighed = [&](const Shape& sums) {
    Tensor product = full({tokens, experts}, "mul");
    const Tensor sum = full(sums, "sum");
    product.reset();
    const Tensor kept = full(sums, "add");
    return full(sums, "mul");
  };
  Tensor of_tokens;
  {
    const Tensor ones = full({tokens}, "ones");
    of_tokens = weighed({tokens});
  }
  const Tensor of_experts = weighed({experts});
  const Tensor product = full({tokens, experts}, "mul");
  return full({tokens, experts}, "mul");
}

Tensor masked(const Tensor& scores, const Tensor& map) {
  Node* node = scores.tape().record(kMasked, {&scores});
  scores.tape().save(node, map);
  Tensor result = made(scores, scores.shape(), kMasked.name);
  Tape::attach(node, result);
  return result;
}

Tensor put_source(const Tensor& like, const Tensor& indices, const Tensor& source) {
  Tape& tape = like.tape();
  Node* node = tape.record(kPut, {&source});
  Tensor result = made(like, like.shape(), "zeros_like");
  const Tensor rows = tape.make({like.size(0)}, DType::kInt64, "arange");
  tape.save(node, rows);
  tape.save(node, indices);
  Tape::attach(node, result);
  return result;
}

Tensor put_map(const Tensor& like, const Tensor& source) {
  const Tensor numbers = made(like, like.shape(), "zeros_like");
  {
    const Tensor ones = made(source, source.shape(), "ones_like");
  }
  return like.tape().make(contiguous(like.shape()), DType::kBool, "_to_copy");
}

Tensor scatter_source(const Tensor& like, const Tensor& indices, const Tensor& source) {
  Tape& tape = like.tape();
  Node* node = tape.record(kScatter, {&source});
  tape.save(node, indices);
  const Tensor zeros = made(like, like.shape(), "zeros_like");
  Tensor result = made(like, like.shape(), kScatter.name);
  Tape::attach(node, result);
  return result;
}

Tensor chosen_map(const Tensor& like) {
  Tape& tape = like.tape();
  Tensor numbers = made(like, like.shape(), "zeros_like");
  Tensor whole = tape.make(contiguous(like.shape()), DType::kInt32, "_to_copy");
  numbers.reset();
  const Tensor ones = tape.make(contiguous(like.shape()), DType::kInt32, "scatter");
  whole.reset();
  return tape.make(contiguous(like.shape()), DType::kBool, "_to_copy");
}

Capped drop_beyond(const Tensor& probs, Expr capacity) {
  Tape& tape = probs.tape();
  const Shape kept = {capacity, probs.size(1)};
  const Tensor values = made(probs, kept, "topk");
  const Tensor indices = tape.make(kept, DType::kInt64, "topk");
  Capped capped;
  {
    Tensor zeros = made(probs, probs.shape(), "zeros_like");
    const Tensor ones = made(probs, probs.shape(), "scatter");
    zeros.reset();
    capped.map = tape.make(contiguous(probs.shape()), DType::kBool, "_to_copy");
  }
  capped.probs = masked(probs, capped.map);
  return capped;
}

Tensor attach_loss(const Tensor& output, const Tensor& loss) {
  Tape& tape = output.tape();
  Node* node = tape.record(kAttach, {&output, &loss});
  tape.save(node, loss);
  Tensor result = tape.look(output, output.shape(), true);
  Tape::attach(node, result);
  return result;
}

Tensor masked_select(const Tensor& input, const Tensor& mask, Expr count) {
  Tape& tape = input.tape();
  Node* node = tape.record(kMaskedSelect, {&input});
  tape.save(node, input);
  tape.save(node, mask);
  {
    const Tensor places = tape.make({count, 2}, DType::kInt64, "new_empty");
  }
  Tensor result = tape.make({count}, input.dtype(), kMaskedSelect.name);
  Tape::attach(node, result);
  return result;
}

Tensor index_select(const Tensor& input, const Tensor& indices, bool deterministic) {
  Tape& tape = input.tape();
  Node* node = tape.record(deterministic ? kIndexSelectSorted : kIndexSelect, {&input});
  tape.save(node, indices);
  Shape shape = input.shape();
  shape.size[0] = indices.size(0);
  Tensor result = made(input, shape, kIndexSelect.name);
  Tape::attach(node, result);
  return result;
}

Tensor index_add_sorted(const Tensor& source, const Tensor& indices, Expr rows) {
  Tape& tape = source.tape();
  Node* node = tape.record(kScatterAdd, {&source});
  tape.save(node, source);
  tape.save(node, indices);
  Tensor first = made(source, {rows, source.size(1)}, "zeros");
  Tensor result = made(source, {rows, source.size(1)}, "zeros");
  first.reset();
  {
    const Tensor copy = made(source, source.shape(), "mul");
  }
  Tape::attach(node, result);
  return result;
}

Tensor scatter_add(const Tensor& source, const Tensor& indices, Expr rows) {
  Tape& tape = source.tape();
  Node* node = tape.record(kScatterAdd, {&source});
  tape.save(node, indices);
  Tensor result = made(source, {rows, source.size(1)}, "zeros");
  Tape::attach(node, result);
  return result;
}

Tensor all_to_all(const Tensor& input, Expr rows, int64_t ranks) {
  if (ranks == 1) return input;
  Node* node = input.tape().record(kAllToAll, {&input});
  Shape shape = input.shape();
  shape.size[0] = rows;
  Tensor result = made(input, shape, "new_empty");
  Tape::attach(node, result);
  return result;
}

// A node for each part; the first one's runs last, when the others' gradients are there.
std::vector<Tensor> split_first(const Tensor& input, const std::vector<Expr>& lengths) {
  Tape& tape = input.tape();
  const auto gathered = std::make_shared<std::vector<Tensor>>();
  std::vector<Tensor> parts;
  for (const Expr& length : lengths) {
    Node* node = tape.record(kSplit, {&input});
    Tensor part = tape.look(input, narrowed(input.shape(), 0, length), true);
    Tape::attach(node, part);
    if (node != nullptr)
      node->function = [gathered, is_last = parts.empty()](Gradients& g) {
        gathered->push_back(std::move(g.in[0]));
        if (!is_last) return;
        g.out[0] = made(gathered->front(), g.input_shape(0), "cat");
        gathered->clear();
      };
    parts.push_back(std::move(part));
  }
  return parts;
}

Tensor cat_first(std::vector<Tensor> parts) {
  Tape& tape = parts.front().tape();
  Expr rows = 0;
  for (const Tensor& part : parts) rows = rows + part.size(0);
  Shape whole = parts.front().shape();
  whole.size[0] = rows;
  Tensor result = made(parts.front(), whole, kCat.name);
  Tensor joined;
  for (const Tensor& part : parts) {
    Node* node = tape.record(kCat, {&joined, &part});
    Tensor next = tape.look(result, result.shape(), false);
    Tape::attach(node, next);
    joined = std::move(next);
  }
  return joined;
}

}  // namespace peakmem::mcore
