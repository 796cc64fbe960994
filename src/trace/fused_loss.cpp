#include "trace/ops.h"

namespace peakmem {
namespace {

constexpr const char* kName = "liger_fused_linear_cross_entropy";

// Both gradients were made in the forward pass; the incoming one is only compared with 1. Where the input wants none,
// Liger makes none for the weight either.
void backward(Gradients& g) {
  g.in[0].tape().make({}, DType::kFloat32, "tensor");
  for (size_t i = 0; i < g.node.saved_count; ++i)
    if (g.needs(i)) g.out[i] = g.saved(i);
}
const Op kLinearCrossEntropy = {kName, backward};

/// What a turn works on: the head's input and weight, and whether it makes the weight's gradient.
struct Head {
  const Tensor& rows;
  const Tensor& weight;
  bool trains_weight;
};

/// A turn without casts: logits and the input's gradient are written where they belong. Products of half precision are
/// summed into the weight's gradient, those of fp32 come as a tensor of their own.
void plain_turn(const Head& head) {
  if (head.trains_weight && head.weight.dtype() == DType::kFloat32)
    head.weight.tape().make(head.weight.shape(), DType::kFloat32, "mm");
}

Tensor in_dtype(DType dtype, const Shape& shape, const Tensor& original) {
  return original.dtype() == dtype ? Tensor() : original.tape().make(shape, dtype, "_to_copy");
}

/// grad_weight += ...: into one of fp32 or of the products' own dtype the product of cast operands is summed; into
/// another one through a product of its own, made fp32.
void add_to_weight_gradient(const Head& head, const Shape& chunk) {
  Tape& tape = head.rows.tape();
  const DType low = tape.autocast.dtype;
  const DType kept = head.weight.dtype();
  Tensor input = in_dtype(low, chunk, head.rows);
  if (kept == DType::kFloat32 || kept == low) return;
  const Tensor product = tape.make(head.weight.shape(), low, "mm");
  input.reset();
  const Tensor full = tape.make(head.weight.shape(), DType::kFloat32, "_to_copy");
}

/// A turn under autocast: `@` casts its operands, the weight seen through t() anew every time.
void autocast_turn(const Head& head, Expr count) {
  Tape& tape = head.rows.tape();
  const DType low = tape.autocast.dtype;
  const Shape chunk = {count, head.rows.size(1)};
  Tensor logits;
  {
    const Tensor weight = in_dtype(low, head.weight.shape(), head.weight);
    const Tensor input = in_dtype(low, chunk, head.rows);
    logits = tape.make({count, head.weight.size(0)}, low, "mm");
  }
  {
    const Tensor weight = to_low_precision(head.weight);
    const Tensor input_gradient = tape.make(chunk, low, "mm");
  }
  if (head.trains_weight) add_to_weight_gradient(head, chunk);
}

}  // namespace

std::vector<Expr> sizes_of(const Pieces& pieces) {
  if (pieces.count == 1) return {pieces.all};
  std::vector<Expr> sizes(static_cast<size_t>(pieces.count), pieces.each);
  sizes.back() = pieces.all - pieces.each * (ceil_div(pieces.all, pieces.each) - 1);
  return sizes;
}

Tensor liger_linear_cross_entropy(Tensor rows, const Tensor& weight, const Pieces& chunks) {
  const Tensor x = std::move(rows);
  Tape& tape = x.tape();
  Node* node = tape.record(kLinearCrossEntropy, {&x, &weight});
  const NoGrad no_grad(tape);
  const bool casts = tape.autocast.enabled && x.dtype() != tape.autocast.dtype;
  const bool trains_weight = x->requires_grad && weight->requires_grad;
  const Tensor grad_input = tape.make(contiguous(x.shape()), x.dtype(), kName);
  const Tensor grad_weight = trains_weight ? tape.make(weight.shape(), weight.dtype(), kName) : Tensor();
  const int products = trains_weight ? 3 : 2;  // logits, and the gradients
  for (int i = 0; i < products; ++i) count_product(grad_input, x.size(0), x.size(1), weight.size(0));
  const Tensor loss_1d = tape.make({x.size(0)}, DType::kFloat32, kName);
  const Tensor target_mask = tape.make({x.size(0)}, DType::kBool, "ne");
  tape.make({}, DType::kInt64, "sum");
  {
    const std::vector<Expr> sizes = sizes_of(chunks);
    const Tensor logits_storage = casts ? Tensor() : tape.make({sizes[0], weight.size(0)}, x.dtype(), kName);
    for (const Expr count : sizes)
      casts ? autocast_turn({x, weight, trains_weight}, count) : plain_turn({x, weight, trains_weight});
  }
  Tensor loss = tape.make({}, DType::kFloat32, "sum");
  Tape::attach(node, loss);
  tape.save(node, grad_input);
  if (grad_weight) tape.save(node, grad_weight);
  return loss;
}

}  // namespace peakmem
