#include "trace/ops.h"

namespace peakmem {
namespace {

constexpr const char* kBackward = "_flash_attn_backward";

Tensor padded(const Tensor& input, Expr width) {
  if (identical(input.size(-1), width)) return input;
  return input.tape().make(contiguous(narrowed(input.shape(), -1, width)), input.dtype(), "constant_pad_nd");
}

Tensor like(const Tensor& tensor) { return tensor.tape().make(preserved(tensor.shape()), tensor.dtype(), kBackward); }

/// mha_bwd: what it allocates besides the gradients is gone when it returns.
void run_kernel(Tape& tape, const Shape& query, const Shape& key, DType dtype, const FlashSizes& sizes) {
  const Expr batch = query[0];
  const Expr heads = query[2];
  const Tensor softmax_d = tape.make({batch, heads, sizes.rows}, DType::kFloat32, kBackward);
  const Tensor dq_accum = tape.make({batch, sizes.rows, heads, sizes.columns}, DType::kFloat32, kBackward);
  if (identical(heads, key[2])) return;
  const Tensor dk_expanded = tape.make({batch, query[1], heads, query[3]}, dtype, kBackward);
  const Tensor dv_expanded = tape.make({batch, query[1], heads, query[3]}, dtype, kBackward);
}

/// Of queries and keys [B, T, heads, D].
Work work_of(WorkKind kind, const Tensor& query, const Tensor& key, bool causal) {
  return {.kind = kind,
          .causal = causal,
          .batch = query.size(0),
          .heads = query.size(2),
          .rows = query.size(1),
          .columns = key.size(1),
          .inner = query.size(3),
          .width = query.size(3)};
}

void backward(Gradients& g, const FlashSizes& sizes) {
  const Tensor query = g.saved(0);
  for (size_t i = 0; i < 3; ++i) g.out[i] = like(g.saved(i));
  count_attention(g.out[0], work_of(WorkKind::kAttentionBackward, query, g.saved(1), sizes.causal));
  const Tensor gradient = padded(g.in[0], query.size(-1));
  run_kernel(query.tape(), query.shape(), g.saved(1).shape(), query.dtype(), sizes);
  const Expr width = g.in[0].size(-1);
  for (size_t i = 0; i < 3; ++i) g.out[i] = slice(g.out[i], -1, width);
}

const Op kFlash = {"_flash_attn_forward", run_function};

}  // namespace

Tensor flash_attention(Tensor query, Tensor key, Tensor value, const FlashSizes& sizes) {
  const std::array<Tensor, 3> held = {std::move(query), std::move(key), std::move(value)};
  Tape& tape = held[0].tape();
  Node* node = tape.record(kFlash, {&held[0], &held[1], &held[2]});
  const NoGrad no_grad(tape);
  const Tensor q = padded(held[0], sizes.head_dim);
  const Tensor k = padded(held[1], sizes.head_dim);
  const Tensor v = padded(held[2], sizes.head_dim);
  const Tensor out_padded = tape.make(contiguous(q.shape()), q.dtype(), kFlash.name);
  count_attention(out_padded, work_of(WorkKind::kAttention, q, k, sizes.causal));
  const Tensor softmax_lse = tape.make({q.size(0), q.size(2), q.size(1)}, DType::kFloat32, kFlash.name);
  const Tensor rng_state = tape.make({2}, DType::kInt64, kFlash.name);
  Tensor result = slice(out_padded, -1, held[0].size(-1));
  Tape::attach(node, result);
  for (const Tensor* saved : {&q, &k, &v, &out_padded, &softmax_lse, &rng_state}) tape.save(node, *saved);
  if (node != nullptr) node->function = [sizes](Gradients& g) { backward(g, sizes); };
  return result;
}

}  // namespace peakmem
