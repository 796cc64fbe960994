#include "megatron/te.h"

#include <array>
#include <memory>

#include "megatron/checkpoint.h"
#include "trace/workspace.h"

namespace peakmem::mcore {
namespace {

const Op kLinear = {"te.Linear", run_function};
void join_backward(Gradients& g) {
  if (g.needs(0)) g.out[0] = g.in[0];
  if (g.needs(1)) g.out[1] = g.in[0].tape().look(g.in[0], contiguous(g.input_shape(1)), true);
}
const Op kJoin = {"te.GroupedLinear", join_backward};
const Op kGroupedLinear = {"te.GroupedLinear", run_function};
const Op kNormLinear = {"te.LayerNormLinear", run_function};
const Op kNorm = {"te.LayerNorm", run_function};

/// The same sizes with another first or last dimension, laid out row-major.
Shape with_size(const Shape& shape, int dim, Expr size) {
  Shape other = shape;
  other.size[static_cast<size_t>(dim < 0 ? shape.rank + dim : dim)] = size;
  return contiguous(other);
}

/// general_gemm of rows and a matrix.
Tensor product_of_rows(const Tensor& rows, Expr columns) {
  return rows.tape().make(with_size(rows.shape(), -1, columns), rows.dtype(), "generic_gemm");
}

/// clear_tensor_data: its memory goes while names of it go on.
void clear(const Tensor& tensor) { set_data(tensor, tensor.tape().make(Shape{0}, tensor.dtype(), "empty")); }

/// gather_along_first_dim.
Tensor gathered(const Tensor& part, int64_t ranks) {
  return part.tape().make(with_size(part.shape(), 0, ranks * part.size(0)), part.dtype(), "empty");
}

Tensor scattered(const Tensor& whole, int64_t ranks) {
  return whole.tape().make(with_size(whole.shape(), 0, exact_div(whole.size(0), ranks)), whole.dtype(), "empty");
}

/// What was kept of a norm for its backward: of RMSNorm no mean.
struct Statistics {
  Tensor mean, root;
};

Statistics statistics_of(const Tensor& input, const NormParameters& norm) {
  const Shape rows = {exact_div(input.shape().elements(), input.size(-1))};
  Statistics s;
  if (norm.bias) s.mean = input.tape().make(rows, DType::kFloat32, "layernorm_fwd");
  s.root = input.tape().make(rows, DType::kFloat32, "layernorm_fwd");
  return s;
}

// tex.layernorm_bwd: partial sums of the parameters' gradients, a row for each multiprocessor. How many thread blocks
// share them is the kernel's choice by occupancy; one for each multiprocessor is counted.
void norm_backward(Gradients& g, const Tensor& input, const Statistics& s) {
  Tape& tape = input.tape();
  const NormParameters norm = {g.saved(1), g.needs(2) ? g.saved(2) : Tensor()};
  g.out[0] = tape.make(contiguous(input.shape()), input.dtype(), "layernorm_bwd");
  g.out[1] = tape.make(norm.weight.shape(), norm.weight.dtype(), "layernorm_bwd");
  if (norm.bias) g.out[2] = tape.make(norm.bias.shape(), norm.bias.dtype(), "layernorm_bwd");
  {
    const Expr part = tape.processor.multiprocessors * input.size(-1) * size_of(DType::kFloat32);
    const Tensor weights = workspace(tape, part, "layernorm_bwd");
    const Tensor biases = workspace(tape, norm.bias ? part : Expr(0), "layernorm_bwd");
  }
  if (s.mean) clear(s.mean);
  clear(s.root);
}

Node* record_norm(const Op& op, const Tensor& x, const Tensor& kept, const NormParameters& norm) {
  Node* node = x.tape().record(op, {&x, &norm.weight, &norm.bias});
  x.tape().save(node, kept);
  x.tape().save(node, norm.weight);
  if (norm.bias) x.tape().save(node, norm.bias);
  return node;
}

/// What of the product's backward lives until the norm's is over, being one function.
using Held = std::array<Tensor, 5>;

Tensor product_of_normalised(Tensor normalised, const Tensor& weight, const Tensor& bias, int64_t gathers,
                             const std::shared_ptr<Held>& held, WeightGradients& gradients) {
  const Tensor x = std::move(normalised);
  Tape& tape = x.tape();
  Node* node = tape.record(kNormLinear, {&x, &weight, &bias});
  const Tensor total = gathers > 1 ? gathered(x, gathers) : x;
  Tensor output = product_of_rows(total, weight.size(0));
  tape.save(node, x);
  tape.save(node, weight);
  Tape::attach(node, output);
  if (node == nullptr) return output;
  node->function = [gathers, held, &gradients](Gradients& g) {
    const Tensor input = g.saved(0);
    const Tensor matrix = g.saved(1);
    Tape& of = input.tape();
    const Tensor whole = gathers > 1 ? gathered(input, gathers) : input;
    const Tensor product = product_of_rows(g.in[0], matrix.size(1));
    g.out[0] = gathers > 1 ? scattered(product, gathers) : product;
    g.out[1] = gradients.make(matrix, "generic_gemm");
    if (g.needs(2)) g.out[2] = of.make(g.input_shape(2), matrix.dtype(), "generic_gemm");
    clear(input);
    const auto memory = [&of](const Tensor& t) { return t ? of.look(t, contiguous(t.shape()), true) : Tensor(); };
    *held = {g.in[0], product, g.out[0], memory(g.out[1]), memory(g.out[2])};
  };
  return output;
}

// What a product of many weights has of them: of its gradient, which is that of all of them, each takes its part.
Tensor joined(const std::vector<Tensor>& weights) {
  Tape& tape = weights.front().tape();
  const Shape whole = {static_cast<int64_t>(weights.size()) * weights.front().shape().elements()};
  Tensor all;
  for (const Tensor& weight : weights) {
    Node* node = tape.record(kJoin, {&all, &weight});
    Tensor next = tape.look(weight, whole, false);
    Tape::attach(node, next);
    all = std::move(next);
  }
  return all;
}

}  // namespace

int64_t te_workspace_bytes(const Processor& processor) {
  constexpr int64_t kMib = int64_t{1} << 20;
  return processor.compute_capability >= 90 ? 32 * kMib + 1024 : 4 * kMib;
}

Tensor te_linear(Tensor input, const Tensor& weight, int64_t scatters, WeightGradients& gradients) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kLinear, {&x, &weight});
  const Tensor product = product_of_rows(x, weight.size(0));
  Tensor output = scatters > 1 ? scattered(product, scatters) : product;
  tape.save(node, x);
  tape.save(node, weight);
  Tape::attach(node, output);
  if (node == nullptr) return output;
  node->function = [scatters, &gradients](Gradients& g) {
    const Tensor matrix = g.saved(1);
    const Tensor whole = scatters > 1 ? gathered(g.in[0], scatters) : contiguous(g.in[0]);
    g.out[0] = product_of_rows(whole, matrix.size(1));
    g.out[1] = gradients.make(matrix, "generic_gemm");
  };
  return output;
}

Tensor te_column_linear(Tensor input, const Tensor& weight, int64_t gathers, WeightGradients& gradients) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kLinear, {&x, &weight});
  Tensor output;
  {
    const Tensor total = gathers > 1 ? gathered(x, gathers) : x;
    output = product_of_rows(total, weight.size(0));
  }
  tape.save(node, x);
  tape.save(node, weight);
  Tape::attach(node, output);
  if (node == nullptr) return output;
  node->function = [gathers, &gradients](Gradients& g) {
    const Tensor part = g.saved(0);
    const Tensor matrix = g.saved(1);
    const Tensor whole = gathers > 1 ? gathered(part, gathers) : part;
    const Tensor product = product_of_rows(contiguous(g.in[0]), matrix.size(1));
    g.out[0] = gathers > 1 ? scattered(product, gathers) : product;
    g.out[1] = gradients.make(matrix, "generic_gemm");
  };
  return output;
}

Tensor te_grouped_linear(Tensor input, const std::vector<Tensor>& weights, WeightGradients& gradients) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  const Tensor all = joined(weights);
  Node* node = tape.record(kGroupedLinear, {&x, &all});
  Tensor output = product_of_rows(x, weights.front().size(0));
  tape.save(node, x);
  tape.save(node, weights.front());
  Tape::attach(node, output);
  if (node == nullptr) return output;
  node->function = [&gradients](Gradients& g) {
    const Tensor matrix = g.saved(1);
    const Tensor gradient = contiguous(g.in[0]);
    g.out[0] = product_of_rows(gradient, matrix.size(1));
    g.out[1] = gradients.make_of_all(matrix, contiguous(g.input_shape(1)), "generic_gemm");
  };
  return output;
}

// One function in the original, two nodes here: what the product's backward names lives to the end of the norm's.
Tensor te_norm_linear(Tensor input, const NormParameters& norm, const Tensor& weight, const Tensor& bias,
                      int64_t gathers, WeightGradients& gradients) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = record_norm(kNorm, x, x, norm);
  const auto held = std::make_shared<Held>();
  const Statistics s = statistics_of(x, norm);
  Tensor normalised = tape.make(contiguous(x.shape()), x.dtype(), "layernorm_fwd");
  Tape::attach(node, normalised);
  if (node != nullptr) {
    tape.save(node, s.root);
    if (s.mean) tape.save(node, s.mean);
    node->function = [held, has_bias = static_cast<bool>(norm.bias)](Gradients& g) {
      const size_t first = has_bias ? 3 : 2;
      norm_backward(g, g.saved(0), {has_bias ? g.saved(first + 1) : Tensor(), g.saved(first)});
      *held = {};
    };
  }
  return product_of_normalised(std::move(normalised), weight, bias, gathers, held, gradients);
}

// What has gaps is copied, and the copy kept.
Tensor te_norm(Tensor input, const NormParameters& norm) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Tensor dense;
  {
    const NoGrad no_grad(tape);
    dense = contiguous(x);
  }
  Node* node = record_norm(kNorm, x, dense, norm);
  const Statistics s = statistics_of(x, norm);
  Tensor normalised = tape.make(contiguous(x.shape()), x.dtype(), "layernorm_fwd");
  Tape::attach(node, normalised);
  if (node == nullptr) return normalised;
  tape.save(node, s.root);
  if (s.mean) tape.save(node, s.mean);
  node->function = [has_bias = static_cast<bool>(norm.bias)](Gradients& g) {
    const size_t first = has_bias ? 3 : 2;
    norm_backward(g, g.saved(0), {has_bias ? g.saved(first + 1) : Tensor(), g.saved(first)});
  };
  return normalised;
}

}  // namespace peakmem::mcore
