#include <utility>

#include "torchtitan/dtensor.h"
#include "torchtitan/model.h"
#include "torchtitan/ring_attention.h"
#include "torchtitan/rotary.h"

namespace peakmem::titan {

namespace {

std::vector<RmsNorm> head_norms(const Builder& b) {
  std::vector<RmsNorm> norms;
  if (b.job.model.family != Family::kQwen3) return norms;
  norms.push_back(named<RmsNorm>(b, "q_norm", b.job.model.head_dim));
  norms.push_back(named<RmsNorm>(b, "k_norm", b.job.model.head_dim));
  return norms;
}

}  // namespace

Attention::Attention(const Builder& b)
    : b_(b),
      heads_(b.job.model.heads / b.tp()),
      kv_heads_(b.job.model.kv_heads / b.tp()),
      head_norms_(head_norms(b)),
      wq_(named<Linear>(b, "wq", b.job.model.dim, heads_ * b.job.model.head_dim)),
      wk_(named<Linear>(b, "wk", b.job.model.dim, kv_heads_ * b.job.model.head_dim)),
      wv_(named<Linear>(b, "wv", b.job.model.dim, kv_heads_ * b.job.model.head_dim)),
      wo_(named<Linear>(b, "wo", heads_ * b.job.model.head_dim, b.job.model.dim)) {}

// sdpa_kernel([CUDNN_ATTENTION, FLASH_ATTENTION, MATH], set_priority=True)
Tensor Attention::inner_attention(const Tensor& xq, const Tensor& xk, const Tensor& xv) const {
  const int64_t d = b_.job.model.head_dim;
  const Expr by_eights = round_up(Expr(d), 8);
  const Expr columns = round_up(Expr(d), Expr(flash_column_step(d)));
  KernelSizes sizes;
  sizes.head_dim = by_eights;
  sizes.columns = columns;
  sizes.kernels = attention_kernels(b_.tape.processor, d, d);
  return scaled_dot_product_attention(xq, xk, xv, {}, 0, true, sizes);
}

Tensor Attention::operator()(const Tensor& input, const Tensor& freqs_cis) const {
  const Scope scope(b_.tape, "attention");
  const Tensor x = gather_sequence(input, b_.tp());
  const Expr d = b_.job.model.head_dim;
  Tensor xq = wq_(x);
  Tensor xk = wk_(x);
  Tensor xv = wv_(x);
  xq = split_dim(std::move(xq), 2, heads_, d);
  xk = split_dim(std::move(xk), 2, kv_heads_, d);
  xv = split_dim(std::move(xv), 2, kv_heads_, d);
  if (!head_norms_.empty()) {
    xq = head_norms_[0](std::move(xq));
    xk = head_norms_[1](std::move(xk));
  }
  auto [query, key] = apply_rotary_emb(xq, xk, freqs_cis);
  xq = std::move(query);
  xk = std::move(key);
  xq = transpose(std::move(xq), 1, 2);
  xk = transpose(std::move(xk), 1, 2);
  xv = transpose(std::move(xv), 1, 2);
  const Ring ring = {b_.job.degrees.cp, b_.job.context()};
  Tensor attended = ring.size > 1 ? ring_attention(xq, xk, xv, ring) : inner_attention(xq, xk, xv);
  Tensor output = contiguous(transpose(std::move(attended), 1, 2));
  output = merge_dims(std::move(output), 2, 2);
  return scatter_sequence(wo_(output), b_.tp());
}

}  // namespace peakmem::titan
