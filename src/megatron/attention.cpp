#include "megatron/attention.h"

#include <utility>

#include "megatron/checkpoint.h"
#include "megatron/te_attention.h"
#include "trace/baddbmm.h"

namespace peakmem::mcore {
namespace {

/// torch.triu(torch.ones(s, s), diagonal=1).bool()
Tensor default_causal_mask(Tape& tape, Expr seq) {
  Tensor triangle;
  {
    const Tensor ones = tape.make({seq, seq}, DType::kFloat32, "ones");
    triangle = tape.make({seq, seq}, DType::kFloat32, "triu");
  }
  return to(std::move(triangle), DType::kBool);
}

/// _rotate_half of models/common/embeddings/rope_utils.py.
Tensor rotate_half(const Tensor& x) {
  const auto [first, second] = split_in_two(x, x.shape().rank - 1);
  Tensor negative = neg(second);
  return cat(std::move(negative), first, x.shape().rank - 1);
}

/// _apply_rotary_pos_emb_bshd, of all features of a head: what is passed by is empty, and its gradient as large as all.
Tensor apply_rotary_of_parts(Tensor input, const Tensor& freqs) {
  Tape& tape = input.tape();
  const int last = input.shape().rank - 1;
  Tensor t = alias(input);
  const Tensor passed = slice(input, last, 0);
  const auto turned = [&](const char* function) {
    Tensor angle = tape.make(freqs.shape(), DType::kFloat32, function);
    return to(mul_scalar(std::move(angle)), input.dtype());
  };
  const Tensor cos = turned("cos");
  const Tensor sin = turned("sin");
  {
    Tensor straight = mul(t, cos);
    Tensor half = rotate_half(t);
    half = mul(std::move(half), sin);
    t = add(std::move(straight), std::move(half));
  }
  return cat(t, passed, last);
}

}  // namespace

SelfAttention::SelfAttention(const Builder& b)
    : b_(b),
      heads_(b.job.model.heads / b.tp()),
      groups_(b.job.model.groups / b.tp()),
      ring_{b.job.degrees.cp, place_of(b.job.degrees, b.job.rank).context},
      linear_proj_(named<RowParallelLinear>(b, "linear_proj", b.job.model.heads * b.job.model.head_dim,
                                            b.job.model.hidden,
                                            LinearKind{b.job.model.linear_bias, false, b.job.kernels.te})),
      linear_qkv_(named<ColumnParallelLinear>(
          b, "linear_qkv", b.job.model.hidden, (b.job.model.heads + 2 * b.job.model.groups) * b.job.model.head_dim,
          LinearKind{b.job.model.linear_bias || b.job.model.qkv_bias, false, b.job.kernels.te, true}, false)) {
  if (!b.job.model.norms_heads) return;
  head_norms_.push_back(named<Normalization>(b, "q_layernorm", b.job.model.head_dim));
  head_norms_.push_back(named<Normalization>(b, "k_layernorm", b.job.model.head_dim));
}

std::array<Tensor, 3> SelfAttention::query_key_value(const Tensor& hidden_states) const {
  const int64_t d = b_.job.model.head_dim;
  const int64_t per_group = heads_ / groups_;
  Tensor mixed = linear_qkv_(hidden_states);
  mixed = split_dim(mixed, 2, groups_, (per_group + 2) * d);
  const std::array<Expr, 3> lengths = {per_group * d, d, d};
  auto [query, key, value] = b_.job.kernels.te ? split_along_last(mixed, lengths) : split_in_three(mixed, 3, lengths);
  if (per_group > 1) query = merge_dims(split_dim(query, 3, per_group, d), 2, 2);
  if (!head_norms_.empty()) {
    query = head_norms_[0](query);
    key = head_norms_[1](key);
  }
  return {std::move(query), std::move(key), std::move(value)};
}

/// is_kernel_available of fusions/fused_softmax.py.
bool SelfAttention::has_fused_softmax() const {
  const Training& t = b_.job.training;
  return b_.job.kernels.fuses_softmax && size_of(t.precision) == 2 && t.seq > 16 && t.seq <= 4096 && t.seq % 4 == 0 &&
         t.micro_batch * heads_ % 4 == 0;
}

// FusedScaleMaskSoftmax.forward. What is filled in place looks at the product, unless it was cast or scaled.
Tensor SelfAttention::scale_mask_softmax(const Tensor& product, const Shape& sizes, Tensor mask) const {
  const Kernels& kernels = b_.job.kernels;
  const DType dtype = product.dtype();
  if (has_fused_softmax()) {
    Tensor probs = fused_softmax(product);
    return split_dim(std::move(probs), 0, sizes[0], sizes[1]);
  }
  const bool widens = size_of(dtype) == 2 && kernels.full_softmax;
  Tensor input = product;
  if (widens || kernels.scales_by_layer) input = split_dim(std::move(input), 0, sizes[0], sizes[1]);
  if (widens) input = to(std::move(input), DType::kFloat32);
  if (kernels.scales_by_layer) input = mul_scalar(std::move(input));
  if (!mask) mask = default_causal_mask(b_.tape, sizes[3]);
  const bool own = widens || kernels.scales_by_layer;
  const Tensor filled = own ? masked_fill_in_place(input, mask) : masked_fill_view(input, sizes, mask);
  Tensor probs = softmax(filled);
  return to(std::move(probs), dtype);
}

// DotProductAttention.forward: names live to its end.
Tensor SelfAttention::core_attention(Tensor query, Tensor key, Tensor value, const Tensor& mask) const {
  const Expr seq = query.size(0);
  const Expr batch = query.size(1);
  if (heads_ > groups_) {
    key = repeat_interleave(key, heads_ / groups_, 2);
    value = repeat_interleave(value, heads_ / groups_, 2);
  }
  query = merge_dims(query, 1, 2);
  key = merge_dims(key, 1, 2);
  const Shape sizes = {batch, heads_, seq, seq};
  const Tensor matmul_input_buffer = b_.buffer.get({batch * heads_, seq, seq}, query.dtype());
  const Tensor matmul_result =
      baddbmm(matmul_input_buffer, transpose(query, 0, 1), transpose(transpose(key, 0, 1), 1, 2), true);
  Tensor attention_probs = scale_mask_softmax(matmul_result, sizes, mask);
  attention_probs = dropout(attention_probs, b_.job.model.attention_dropout);
  value = merge_dims(value, 1, 2);
  attention_probs = merge_dims(attention_probs, 0, 2);
  Tensor context = bmm(attention_probs, transpose(value, 0, 1));
  context = split_dim(context, 0, batch, heads_);
  context = contiguous(transpose(transpose(context, 0, 2), 1, 2));
  return merge_dims(context, 2, 2);
}

// DotProductAttention.forward of TransformerEngine.
Tensor SelfAttention::te_core_attention(Tensor query, Tensor key, Tensor value, const Tensor& mask) const {
  Tensor& starts = b_.te->sequence_starts;  // get_full_cu_seqlens, kept from the first call on
  if (!starts) starts = b_.tape.make({query.size(1) + 1}, DType::kInt32, "cu_seqlens");
  const double p = b_.job.model.attention_dropout;
  // get_qkv_layout: unless one product made them side by side, what has gaps is copied.
  if (query->storage != key->storage || !identical(query.size(2), key.size(2)))
    for (Tensor* each : {&query, &key, &value}) *each = contiguous(std::move(*each));
  switch (b_.job.kernels.te_attention) {
    case TeAttention::kUnfused:
      return te_unfused_attention(std::move(query), std::move(key), std::move(value), mask, p);
    case TeAttention::kFlash:
      if (ring_.size > 1) return te_ring_attention(std::move(query), std::move(key), std::move(value), ring_);
      return te_flash_attention(std::move(query), std::move(key), std::move(value));
    case TeAttention::kFused:
      break;
  }
  return te_fused_attention(std::move(query), std::move(key), std::move(value));
}

Tensor SelfAttention::attend(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask) const {
  const auto run = [this](const CheckpointInputs& in) {
    return b_.job.kernels.te ? te_core_attention(in[0], in[1], in[2], in[3])
                             : core_attention(in[0], in[1], in[2], in[3]);
  };
  const CheckpointInputs inputs = {query, key, value, mask};
  return b_.job.training.recompute == Recompute::kCoreAttention ? checkpoint(b_.tape, run, inputs) : run(inputs);
}

Tensor SelfAttention::operator()(const Tensor& hidden_states, const LayerInput& given) const {
  const Scope scope(b_.tape, "self_attention");
  const std::array<Tensor, 3> qkv = query_key_value(hidden_states);
  auto [query, key, value] = qkv;
  if (given.rotary) {
    const auto turn = b_.job.kernels.te ? te_rotary : apply_rotary_of_parts;
    query = turn(query, given.rotary);
    key = turn(key, given.rotary);
  }
  const Tensor core = attend(query, key, value, given.mask);
  return linear_proj_(core);
}

}  // namespace peakmem::mcore
