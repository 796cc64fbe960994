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

/// freqs_cis[0:seqlen].view(1, s, 1, d / 2), or those of a part of the sequence, for each sequence (gather).
Tensor reshape_for_broadcast(const Tensor& freqs_cis, const Tensor& x) {
  Tape& tape = x.tape();
  if (identical(freqs_cis.size(0), x.size(1))) return tape.look(freqs_cis, Shape{1, x.size(1), 1, x.size(3)}, true);
  const Shape own = {x.size(0), x.size(1), 1, x.size(3)};
  return tape.make(own, freqs_cis.dtype(), "gather");
}

void make_complex(Tape& tape, Expr seq, Expr half, Tensor& made) {
  const Tensor wavelen = tape.make({half}, DType::kFloat32, "mul");
  const Tensor smooth_factor = tape.make({half}, DType::kFloat32, "div");
  const Tensor smoothed_freqs = tape.make({half}, DType::kFloat32, "add");
  const Tensor is_medium_freqs = tape.make({half}, DType::kBool, "mul");
  const Tensor t = tape.make({seq}, DType::kInt64, "arange");
  const Tensor freqs = tape.make({seq, half}, DType::kFloat32, "mul");
  const Tensor ones = tape.make({seq, half}, DType::kFloat32, "ones_like");
  made = tape.buffer({seq, half}, DType::kComplex64, "freqs_cis");
}

void make_cosines(Tape& tape, Expr seq, Expr half, Tensor& made) {
  const Tensor t = tape.make({seq}, DType::kFloat32, "arange");
  const Tensor idx_theta = tape.make({seq, half}, DType::kFloat32, "mul");
  const Tensor freqs = tape.make({seq, 2 * half}, DType::kFloat32, "cat");
  const Tensor cosines = tape.make({seq, 2 * half}, DType::kFloat32, "cos");
  const Tensor sines = tape.make({seq, 2 * half}, DType::kFloat32, "sin");
  made = tape.buffer({seq, 4 * half}, DType::kFloat32, "rope_cache");
}

std::array<Tensor, 2> turn_complex(const Tensor& xq, const Tensor& xk, const Tensor& freqs_cis) {
  const Tensor query_pairs = as_complex(xq);
  const Tensor key_pairs = as_complex(xk);
  const Tensor freqs = reshape_for_broadcast(freqs_cis, query_pairs);
  const Tensor xq_out = view_as_real(mul_complex(query_pairs, freqs));
  const Tensor xk_out = view_as_real(mul_complex(key_pairs, freqs));
  Tensor query = to(xq_out, xq.dtype());
  return {std::move(query), to(xk_out, xk.dtype())};
}

Tensor rotate_half(const Tensor& x) {
  const Expr half = exact_div(x.size(3), 2);
  const Tensor x1 = slice(x, 3, half);
  const Tensor x2 = slice(x, 3, half);
  Tensor turned = neg(x2);
  return cat(std::move(turned), x1, 3);
}

Tensor turned(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  const Tensor scaled = mul(x, cos);
  Tensor half;
  {
    const Tensor rotated = rotate_half(x);
    half = mul(rotated, sin);
  }
  return add(scaled, std::move(half));
}

std::array<Tensor, 2> turn_halves(const Tensor& xq, const Tensor& xk, const Tensor& rope_cache) {
  const Shape half = {1, xq.size(1), 1, xq.size(3)};
  const Tensor cos = to(xq.tape().look(rope_cache, half, true), xq.dtype());
  const Tensor sin = to(xq.tape().look(rope_cache, half, true), xq.dtype());
  Tensor query = turned(xq, cos, sin);
  return {std::move(query), turned(xk, cos, sin)};
}

}  // namespace

Tensor empty_positions(Tape& tape, const Job& job) {
  const int64_t seq = job.training.seq;
  const int64_t d = job.model.head_dim;
  return job.model.family == Family::kLlama3 ? tape.buffer({seq, d / 2}, DType::kComplex64, "freqs_cis")
                                             : tape.buffer({seq, 2 * d}, DType::kFloat32, "rope_cache");
}

Tensor make_positions(Tape& tape, const Job& job) {
  const Category outer = std::exchange(tape.category, Category::kTemporaries);
  Tensor made;
  (job.model.family == Family::kLlama3 ? make_complex : make_cosines)(tape, job.training.seq, job.model.head_dim / 2,
                                                                      made);
  tape.category = outer;
  return made;
}

std::array<Tensor, 2> apply_rotary_emb(const Tensor& xq, const Tensor& xk, const Tensor& positions) {
  return positions.dtype() == DType::kComplex64 ? turn_complex(xq, xk, positions) : turn_halves(xq, xk, positions);
}

}  // namespace peakmem::titan
