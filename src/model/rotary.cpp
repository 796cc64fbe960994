#include "model/rotary.h"

#include <utility>

namespace peakmem {
namespace {

Tensor rotate_half(const Tensor& x) {
  const Expr half = exact_div(x.size(-1), 2);
  const Tensor x1 = slice(x, -1, half);
  const Tensor x2 = slice(x, -1, half);
  return cat(neg(x2), x1, -1);
}

/// The kernel turns as many features as cos and sin are wide, and leaves the rest where it is.
void apply_liger_rope(Tensor& query, Tensor& key, const Rotation& rotation) {
  auto [query_rotated, key_rotated] = liger_rope(query, key, rotation.cos, rotation.sin);
  query = std::move(query_rotated);
  key = std::move(key_rotated);
}

/// What is in use while inverse frequencies are computed, and goes when they are there: the power and its base's
/// inverse.
struct Frequencies {
  Tensor power, inverse;
};

/// compute_default_rope_parameters, 1 / base ** (arange(0, dim, 2) / dim), on the device that a model is built on:
/// which small blocks its buffers take depends on it.
Frequencies begin_frequencies(const Builder& b, const Shape& half) {
  if (b.untied == nullptr) return {};
  const auto make = [&](const Shape& shape, const char* op) { return b.tape.make(shape, DType::kFloat32, op); };
  Tensor range = make(half, "arange");
  Tensor share = make(half, "div");
  range.reset();
  Tensor power = make(half, "pow");
  make({2}, "base");
  share.reset();
  Tensor inverse = make(half, "reciprocal");
  return {std::move(power), std::move(inverse)};
}

void end_frequencies(Frequencies made) {
  made.inverse.reset();
  made.power.reset();
}

}  // namespace

RotaryEmbedding::RotaryEmbedding(const Builder& builder, const char* name, bool keeps_original)
    : b_(builder), name_(name) {
  const Scope scope(b_.tape, name_);
  const Shape half = {exact_div(b_.dims.rotary, 2)};
  Frequencies made = begin_frequencies(b_, half);
  inv_freq_ = b_.tape.buffer(half, DType::kFloat32, "inv_freq");
  end_frequencies(std::move(made));
  if (!keeps_original || b_.structure.transformers != Transformers::kV523) return;
  original_inv_freq_ = b_.tape.buffer(half, DType::kFloat32, "original_inv_freq");
  made = begin_frequencies(b_, half);  // again where weights are initialised
  const Tensor copied = b_.untied != nullptr ? b_.tape.make(half, DType::kFloat32, "mul") : Tensor();
  end_frequencies(std::move(made));
}

Rotation RotaryEmbedding::in_dtype(DType dtype, const Tensor& position_ids) const {
  const Scope scope(b_.tape, name_);
  const NoGrad no_grad(b_.tape);
  if (b_.structure.transformers <= Transformers::kV448) return in_dtype_4_48(dtype, position_ids);
  update();
  const Dims& d = b_.dims;
  Tape& tape = b_.tape;
  Tensor positions = tape.make({1, d.seq, 1}, DType::kFloat32, "_to_copy");
  const Tensor freqs = tape.make({1, d.seq, exact_div(d.rotary, 2)}, DType::kFloat32, "mul");
  positions.reset();
  const Tensor emb = tape.make({1, d.seq, d.rotary}, DType::kFloat32, "cat");
  const Tensor cos = mul_scalar(tape.make(emb.shape(), DType::kFloat32, "cos"));
  const Tensor sin = mul_scalar(tape.make(emb.shape(), DType::kFloat32, "sin"));
  const Tensor cos_cast = to(cos, dtype);
  return {position_ids, cos_cast, to(sin, dtype)};
}

Tensor RotaryEmbedding::make_long_frequencies() const {
  const Shape half = {exact_div(b_.dims.rotary, 2)};
  const auto make = [&](DType dtype, const char* op) { return b_.tape.make(half, dtype, op); };
  const Tensor ext_factors = make(DType::kFloat32, "_to_copy");
  Tensor range = make(DType::kInt64, "arange");
  Tensor numbers = make(DType::kFloat32, "_to_copy");
  range.reset();
  const Tensor inv_freq_shape = make(DType::kFloat32, "div");
  numbers.reset();
  Tensor power = make(DType::kFloat32, "pow");
  Tensor product = make(DType::kFloat32, "mul");
  power.reset();
  return make(DType::kFloat32, "reciprocal");
}

void RotaryEmbedding::choose_frequencies() const {
  Tape& tape = b_.tape;
  Tensor last = tape.make({}, DType::kInt64, "max");
  const Tensor seq_len = tape.make({}, DType::kInt64, "add");
  last.reset();
  if (!*long_inv_freq_) {
    const size_t first = tape.program.events.size();
    *long_inv_freq_ = make_long_frequencies();
    tape.mark_once(first);
  }
  Tensor is_long = tape.make({}, DType::kBool, "gt");
  const Tensor inv_freq = tape.make({exact_div(b_.dims.rotary, 2)}, DType::kFloat32, "where");
}

void RotaryEmbedding::update() const {
  if (b_.description.long_rotary) return choose_frequencies();
  if (!b_.description.dynamic_rotary) return;
  Tensor last = b_.tape.make({}, DType::kInt64, "max");
  const Tensor seq_len = b_.tape.make({}, DType::kInt64, "add");
  last.reset();
  Tensor grows = b_.tape.make({}, DType::kBool, "gt");
  grows.reset();
  const Tensor shrinks = b_.tape.make({}, DType::kBool, "lt");
}

// The frequencies are a matrix product there, and all names live to the end.
Rotation RotaryEmbedding::in_dtype_4_48(DType dtype, const Tensor& position_ids) const {
  const Dims& d = b_.dims;
  Tape& tape = b_.tape;
  const Tensor positions = tape.make({1, 1, d.seq}, DType::kFloat32, "_to_copy");
  const Tensor freqs = tape.make({1, exact_div(d.rotary, 2), d.seq}, DType::kFloat32, "bmm");
  const Tensor emb = tape.make({1, d.seq, d.rotary}, DType::kFloat32, "cat");
  Tensor cos = tape.make(emb.shape(), DType::kFloat32, "cos");
  Tensor sin = tape.make(emb.shape(), DType::kFloat32, "sin");
  cos = mul_scalar(cos);
  sin = mul_scalar(sin);
  const Tensor cos_cast = to(cos, dtype);
  return {position_ids, cos_cast, to(sin, dtype)};
}

RotaryByKind::RotaryByKind(const Builder& b) {
  bool has_full = false;
  bool has_windowed = false;
  for (const LayerRun& run : b.description.runs) {
    has_windowed = has_windowed || run.has(true);
    has_full = has_full || run.has(false);
  }
  if (has_full) full_.emplace(b);
  if (has_windowed) windowed_.emplace(b);
}

Rotations RotaryByKind::in_dtype(DType dtype, const Tensor& position_ids) const {
  Rotations rotations;
  if (full_) rotations.full = full_->in_dtype(dtype, position_ids);
  if (windowed_) rotations.windowed = windowed_->in_dtype(dtype, position_ids);
  return rotations;
}

Rotation layer_inputs(const Builder& b, const Rotation& rotation) {
  if (!b.structure.casts_inputs || !rotation.cos || rotation.cos.dtype() == DType::kComplex64) return rotation;
  const Tensor cos = to(rotation.cos, b.structure.weights);
  return {rotation.position_ids, cos, to(rotation.sin, b.structure.weights), rotation.turns};
}

Tensor rotate(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  Tensor straight = mul(x, cos);
  Tensor turned = mul(rotate_half(x), sin);
  return add(std::move(straight), std::move(turned));
}

Tensor rotate_every_two(const Tensor& x) {
  const Tensor x1 = every_second(x);
  const Tensor x2 = every_second(x);
  return merge_dims(stack_last(neg(x2), x1), x.shape().rank - 1, 2);
}

Tensor rotate_pairs(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  Tensor straight = mul(x, cos);
  Tensor turned = mul(rotate_every_two(x), sin);
  return add(std::move(straight), std::move(turned));
}

Tensor repeat_pairs(const Tensor& x) { return x.tape().make(contiguous(x.shape()), x.dtype(), "clone"); }

void apply_rotary(const Builder& b, Tensor& query, Tensor& key, const Rotation& rotation) {
  if (!rotation.turns) return;
  const Scope scope(b.tape, "rotary");
  if (b.structure.kernels.rope == Kernel::kFused) return apply_liger_rope(query, key, rotation);
  const Tensor cos = unsqueeze(rotation.cos, 1);
  const Tensor sin = unsqueeze(rotation.sin, 1);
  Tensor query_rotated = rotate(query, cos, sin);
  Tensor key_rotated = rotate(key, cos, sin);
  query = std::move(query_rotated);
  key = std::move(key_rotated);
}

void apply_rotary_upcast(const Builder& b, Tensor& query, Tensor& key, const Tensor& cos, const Tensor& sin) {
  const Scope scope(b.tape, "rotary");
  const DType original_dtype = query.dtype();
  const Tensor wide_cos = unsqueeze(cos, 1);
  const Tensor wide_sin = unsqueeze(sin, 1);
  const auto turn = [&](const Tensor& x) {
    Tensor straight = mul(to(x, DType::kFloat32), wide_cos);
    Tensor turned = mul(rotate_half(to(x, DType::kFloat32)), wide_sin);
    return add(std::move(straight), std::move(turned));
  };
  const Tensor query_embed = turn(query);
  const Tensor key_embed = turn(key);
  Tensor turned_query = to(query_embed, original_dtype);
  key = to(key_embed, original_dtype);
  query = std::move(turned_query);
}

HeadParts head_parts(const Builder& b, const Tensor& x) {
  const Expr rest = b.dims.head_dim - b.dims.rotary;
  const Tensor turned = identical(rest, Expr(0)) ? alias(x) : slice(x, -1, b.dims.rotary);
  return {turned, slice(x, -1, rest)};
}

void apply_partial_rotary(const Builder& b, Tensor& query, Tensor& key, const Rotation& rotation, Joined joined) {
  const Scope scope(b.tape, "rotary");
  if (b.structure.kernels.rope == Kernel::kFused) return apply_liger_rope(query, key, rotation);
  const Tensor cos = unsqueeze(rotation.cos, 1);
  const Tensor sin = unsqueeze(rotation.sin, 1);
  const HeadParts q = head_parts(b, query);
  const HeadParts k = head_parts(b, key);
  Tensor query_rotated = rotate(q.turned, cos, sin);
  if (joined == Joined::kEach) query_rotated = cat(std::move(query_rotated), q.rest, -1);
  Tensor key_rotated = rotate(k.turned, cos, sin);
  if (joined == Joined::kTogether) {
    query = cat(query_rotated, q.rest, -1);
    key = cat(key_rotated, k.rest, -1);
    return;
  }
  if (joined == Joined::kAfterBoth) query_rotated = cat(query_rotated, q.rest, -1);
  key_rotated = joined == Joined::kEach ? cat(std::move(key_rotated), k.rest, -1) : cat(key_rotated, k.rest, -1);
  query = std::move(query_rotated);
  key = std::move(key_rotated);
}

}  // namespace peakmem
