#include "torchtitan/rotary.h"

#include <utility>

#include "trace/complex.h"
#include "trace/ops.h"

namespace peakmem::titan {
namespace {

Tensor as_complex(const Tensor& x) {
  const Tensor full = to(x, DType::kFloat32);
  return view_as_complex(split_dim(full, 3, exact_div(full.size(-1), 2), 2));
}

/// freqs_cis[0:seqlen].view(1, s, 1, d / 2)
Tensor reshape_for_broadcast(const Tensor& freqs_cis, const Tensor& x) {
  return x.tape().look(freqs_cis, Shape{1, x.size(1), 1, x.size(3)}, true);
}

}  // namespace

Tensor rotary_table(Tape& tape, int64_t seq, int64_t head_dim) {
  const Expr half = exact_div(Expr(head_dim), 2);
  const Category outer = std::exchange(tape.category, Category::kTemporaries);
  const Tensor wavelen = tape.make({half}, DType::kFloat32, "mul");
  const Tensor smooth_factor = tape.make({half}, DType::kFloat32, "div");
  const Tensor smoothed_freqs = tape.make({half}, DType::kFloat32, "add");
  const Tensor is_medium_freqs = tape.make({half}, DType::kBool, "mul");
  const Tensor t = tape.make({seq}, DType::kInt64, "arange");
  const Tensor freqs = tape.make({seq, half}, DType::kFloat32, "mul");
  const Tensor ones = tape.make({seq, half}, DType::kFloat32, "ones_like");
  tape.category = outer;
  return tape.buffer({seq, half}, DType::kComplex64, "freqs_cis");
}

std::array<Tensor, 2> apply_rotary_emb(const Tensor& xq, const Tensor& xk, const Tensor& freqs_cis) {
  const Tensor xq_ = as_complex(xq);
  const Tensor xk_ = as_complex(xk);
  const Tensor freqs = reshape_for_broadcast(freqs_cis, xq_);
  const Tensor xq_out = view_as_real(mul_complex(xq_, freqs));
  const Tensor xk_out = view_as_real(mul_complex(xk_, freqs));
  Tensor query = to(xq_out, xq.dtype());
  return {std::move(query), to(xk_out, xk.dtype())};
}

}  // namespace peakmem::titan
