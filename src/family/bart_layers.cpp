#include "family/bart_layers.h"

#include <utility>

#include "model/cache.h"
#include "trace/clamp.h"

namespace peakmem {
namespace {

Linear projection(const Builder& b, const char* name, bool has_bias) {
  return {b, name, b.dims.hidden, b.dims.hidden, has_bias};
}

/// torch.isfinite(hidden_states).all(): (self == self) * (abs(self) != inf) (TensorCompare.cpp, torch 2.13). They are.
void ask_if_finite(const Tensor& hidden_states) {
  Tape& tape = hidden_states.tape();
  const Shape sizes = contiguous(hidden_states.shape());
  Tensor absolute = tape.make(sizes, hidden_states.dtype(), "abs");
  Tensor bounded = tape.make(sizes, DType::kBool, "ne");
  Tensor itself = tape.make(sizes, DType::kBool, "eq");
  const Tensor finite = tape.make(sizes, DType::kBool, "mul");
  itself.reset();
  bounded.reset();
  absolute.reset();
  const Tensor all = tape.make({}, DType::kBool, "all");
}

}  // namespace

BartAttention::BartAttention(const Builder& builder, BartLayerStyle layer_style, bool is_causal)
    : b(builder),
      style(layer_style),
      causal(is_causal),
      k_proj(projection(b, "k_proj", style.key_bias)),
      v_proj(projection(b, "v_proj", true)),
      q_proj(projection(b, "q_proj", true)),
      out_proj(projection(b, "out_proj", true)) {}

Tensor BartAttention::heads(Tensor projected) const {
  Tensor states = as_heads(std::move(projected), b.dims.heads, b.dims.head_dim);
  return style.scales_queries ? contiguous(std::move(states)) : states;
}

AttentionOutput BartAttention::operator()(const Tensor& hidden_states, const Tensor& key_value_states,
                                          const Tensor& mask) const {
  Tensor query_states = q_proj(hidden_states);
  if (style.scales_queries) query_states = mul_scalar(std::move(query_states));
  query_states = heads(std::move(query_states));
  Tensor key_states = k_proj(key_value_states);
  if (style.scales_queries) key_states = heads(std::move(key_states));
  Tensor value_states = v_proj(key_value_states);
  if (!style.scales_queries) key_states = heads(std::move(key_states));
  value_states = heads(std::move(value_states));
  update_cache(b, key_states, value_states);
  AttentionOutput attention =
      attend(query_states, key_states, value_states, {b, 1, mask, causal, SoftmaxDtype::kAsItComes});
  attention.output = from_heads(std::move(attention.output));
  attention.output = out_proj(attention.output);
  return attention;
}

BartAttentionPart::BartAttentionPart(const Builder& builder, BartLayerStyle layer_style, const char* own_name,
                                     const char* norm_name, bool causal)
    : b(builder),
      name(own_name),
      style(layer_style),
      attention(named<BartAttention>(b, name, style, causal)),
      norm(b, norm_name, b.dims.hidden) {}

Tensor BartAttentionPart::operator()(const Tensor& input, const Tensor& encoder_hidden_states, const Tensor& mask,
                                     Tensor& weights) const {
  const Tensor residual = input;
  Tensor hidden_states = style.norms_first ? norm(input) : input;
  {
    const Scope scope(b.tape, name);
    AttentionOutput attended =
        attention(hidden_states, encoder_hidden_states ? encoder_hidden_states : hidden_states, mask);
    hidden_states = std::move(attended.output);
    weights = std::move(attended.weights);
  }
  hidden_states = dropout(hidden_states, b.description.hidden_dropout);
  hidden_states = add(residual, hidden_states);
  return style.norms_first ? hidden_states : norm(hidden_states);
}

BartLayer::BartLayer(const Builder& builder, BartLayerStyle layer_style, bool is_decoder)
    : b(builder),
      style(layer_style),
      self_attention(b, style, "self_attn", "self_attn_layer_norm", is_decoder),
      cross_attention(is_decoder ? std::optional<BartAttentionPart>(std::in_place, b, style, "encoder_attn",
                                                                    "encoder_attn_layer_norm", false)
                                 : std::nullopt),
      fc1(b, "fc1", b.dims.hidden, b.dims.ffn, true),
      fc2(b, "fc2", b.dims.ffn, b.dims.hidden, true),
      final_layer_norm(b, "final_layer_norm", b.dims.hidden) {}

Tensor BartLayer::operator()(const Tensor& input, const Tensor& mask, const Tensor& encoder_hidden_states) const {
  Tensor weights;
  Tensor hidden_states = self_attention(input, Tensor(), mask, weights);
  if (cross_attention) hidden_states = (*cross_attention)(hidden_states, encoder_hidden_states, Tensor(), weights);
  hidden_states = feed_forward(std::move(hidden_states));
  if (cross_attention || hidden_states.dtype() != DType::kFloat16) return hidden_states;
  if (style.asks_half) ask_if_finite(hidden_states);
  if (style.clamps_half) hidden_states = clamp(hidden_states);
  return hidden_states;
}

Tensor BartLayer::feed_forward(Tensor hidden_states) const {
  const Tensor residual = hidden_states;
  if (style.norms_first) hidden_states = final_layer_norm(hidden_states);
  hidden_states = activate(b.description.activation, fc1(hidden_states));
  hidden_states = dropout(hidden_states, b.description.ffn_dropout);
  hidden_states = fc2(hidden_states);
  hidden_states = dropout(hidden_states, b.description.hidden_dropout);
  hidden_states = add(residual, hidden_states);
  return style.norms_first ? hidden_states : final_layer_norm(hidden_states);
}

void refuse_layerdrop(Fields& fields) {
  for (const char* name : {"encoder_layerdrop", "decoder_layerdrop"})
    if (fields.probability(name, 0.0) > 0.0)
      fields.fail(name, "skips layers by chance, which is not modelled", "set it to 0");
}

}  // namespace peakmem
