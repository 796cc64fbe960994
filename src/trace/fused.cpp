#include "trace/ops.h"

namespace peakmem {
namespace {

// An autograd.Function in Python packs what it saves when its forward has returned, so here saving comes last. What it
// saves is unpacked at once, and what its backward returns may be a view of it.

Tensor same_storage(const Tensor& tensor) { return tensor.tape().look(tensor, tensor.shape(), true); }

// Inputs: input 0, weight 1. The weight's gradient is summed from a row for each multiprocessor.
void rms_norm_backward(Gradients& g) {
  const auto [in_place, multiprocessors] = g.node.dims;
  const Tensor gradient = contiguous(g.in[0]);
  Tape& tape = gradient.tape();
  const Shape columns = {gradient.size(-1)};
  Tensor rows;
  if (g.needs(1)) rows = tape.make({multiprocessors, columns[0]}, DType::kFloat32, "liger_rms_norm_backward");
  g.out[0] = in_place != 0 ? same_storage(gradient) : tape.make(gradient.shape(), gradient.dtype(), "zeros_like");
  if (!g.needs(1)) return;
  const Tensor sum = tape.make(columns, DType::kFloat32, "sum");
  g.out[1] = to(sum, g.saved(1).dtype());
}
const Op kRmsNorm = {"liger_rms_norm", rms_norm_backward};

// Gradients are written over what was saved.
void gated_backward(Gradients& g) {
  const Tensor gradient = contiguous(g.in[0]);
  for (size_t i = 0; i < 2; ++i)
    if (g.needs(i)) g.out[i] = same_storage(g.saved(i));
}
const Op kSwiglu = {"liger_swiglu", gated_backward};
const Op kGeglu = {"liger_geglu", gated_backward};

/// [B, heads, T, D] as the kernel sees it, [B, T, heads, D] without gaps, seen as it was.
Tensor rotated_in_place(const Tensor& heads) { return transpose(contiguous(transpose(heads, 1, 2)), 1, 2); }

// A gradient that never came is zeros.
void rope_backward(Gradients& g) {
  Tape& tape = (g.in[0] ? g.in[0] : g.in[1]).tape();
  for (uint8_t i = 0; i < 2; ++i) {
    if (!g.in[i]) g.in[i] = tape.make(preserved(g.node.shape_of(i)), g.node.dtype, "zeros");
    g.out[i] = rotated_in_place(g.in[i]);
  }
}
const Op kRope = {"liger_rope", rope_backward};

}  // namespace

Tensor liger_rms_norm(Tensor input, const Tensor& weight, bool in_place, int64_t multiprocessors) {
  const Tensor held = std::move(input);
  Tape& tape = held.tape();
  Node* node = tape.record(kRmsNorm, {&held, &weight});
  const NoGrad no_grad(tape);
  const Tensor x = contiguous(held);
  Tensor result = tape.make(x.shape(), x.dtype(), kRmsNorm.name);
  const Tensor rstd = tape.make({x.shape().rows()}, DType::kFloat32, kRmsNorm.name);
  Tape::attach(node, result);
  for (const Tensor* saved : {&x, &weight, &rstd}) tape.save(node, *saved);
  if (node != nullptr) node->dims = {in_place ? 1 : 0, static_cast<int>(multiprocessors)};
  return result;
}

Tensor liger_gated(bool is_silu, Tensor gate, Tensor up) {
  const Tensor gate_held = std::move(gate);
  const Tensor up_held = std::move(up);
  const Op& op = is_silu ? kSwiglu : kGeglu;
  Tape& tape = gate_held.tape();
  Node* node = tape.record(op, {&gate_held, &up_held});
  const NoGrad no_grad(tape);
  const Tensor a = contiguous(gate_held);
  const Tensor b = contiguous(up_held);
  Tensor result = tape.make(a.shape(), a.dtype(), op.name);
  Tape::attach(node, result);
  tape.save(node, a);
  tape.save(node, b);
  return result;
}

std::array<Tensor, 2> liger_rope(Tensor query, Tensor key, const Tensor& cos, const Tensor& sin) {
  const Tensor q = std::move(query);
  const Tensor k = std::move(key);
  Tape& tape = q.tape();
  Node* node = tape.record(kRope, {&q, &k});
  const NoGrad no_grad(tape);
  std::array<Tensor, 2> rotated = {rotated_in_place(q), rotated_in_place(k)};
  for (uint8_t i = 0; i < 2; ++i) Tape::attach(node, rotated[i], i);
  tape.save(node, cos);
  tape.save(node, sin);
  return rotated;
}

}  // namespace peakmem
