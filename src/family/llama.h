// The parts LLaMA is made of, for the families that share them (transformers 5.23, models/llama/modeling_llama.py).
#pragma once

#include "family/decoder.h"

namespace peakmem {

/// LlamaAttention. One that makes query, key and value its own way derives from it and has them finished.
struct SelfAttention {
  const Builder& b;
  Linear q_proj, k_proj, v_proj, o_proj;

  explicit SelfAttention(const Builder& builder);
  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const;
  /// Attention over [B, heads, T, D], then o_proj.
  AttentionOutput finish(Tensor query, Tensor key, Tensor value, const Tensor& mask) const;
};

/// Attention of grouped heads over [B, heads, T, D] under a causal mask: [B, T, heads, D].
AttentionOutput attend_in_groups(const Builder& b, const Tensor& query, const Tensor& key, const Tensor& value,
                                 const Tensor& mask);
/// The same with all heads side by side, contiguous: [B, T, heads·D].
AttentionOutput attend_causally(const Builder& b, const Tensor& query, const Tensor& key, const Tensor& value,
                                const Tensor& mask);

/// LlamaMLP.
struct Mlp {
  const Builder& b;
  const char* name;
  Linear gate_proj, up_proj, down_proj;

  explicit Mlp(const Builder& builder) : Mlp(builder, "mlp", builder.dims.ffn) {}
  Mlp(const Builder& builder, const char* name, Expr width);
  Tensor operator()(const Tensor& x) const;
};

/// Phi3MLP: gate and up in one projection.
struct FusedMlp {
  const Builder& b;
  Linear gate_up_proj, down_proj;

  explicit FusedMlp(const Builder& builder);
  Tensor operator()(const Tensor& hidden_states) const;
};

/// ArceeMLP: no gate.
struct UngatedMlp {
  const Builder& b;
  Linear up_proj, down_proj;

  explicit UngatedMlp(const Builder& builder);
  Tensor operator()(const Tensor& x) const;
};

/// The name by which a layer holds its feed-forward part.
template <class FeedForward>
inline constexpr const char* kHeldAs = "mlp";

/// LlamaDecoderLayer: a norm before attention and one before the MLP; what they give is dropped out of where a family
/// has a `hidden_dropout`.
template <class Attention = SelfAttention, class FeedForward = Mlp, class Norm = RmsNorm>
struct PreNormLayer {
  Attention self_attn;
  FeedForward mlp;
  Norm input_layernorm;
  Norm post_attention_layernorm;
  double dropped;

  explicit PreNormLayer(const Builder& b)
      : self_attn(named<Attention>(b, "self_attn")),
        mlp(named<FeedForward>(b, kHeldAs<FeedForward>)),
        input_layernorm(b, "input_layernorm", b.dims.hidden),
        post_attention_layernorm(b, "post_attention_layernorm", b.dims.hidden),
        dropped(b.description.hidden_dropout) {}
  /// One whose feed-forward part is of either kind.
  PreNormLayer(const Builder& b, bool windowed)
    requires std::is_constructible_v<FeedForward, const Builder&, bool>
      : self_attn(named<Attention>(b, "self_attn")),
        mlp(named<FeedForward>(b, kHeldAs<FeedForward>, windowed)),
        input_layernorm(b, "input_layernorm", b.dims.hidden),
        post_attention_layernorm(b, "post_attention_layernorm", b.dims.hidden),
        dropped(b.description.hidden_dropout) {}

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    Tensor residual = input;
    Tensor hidden_states = input_layernorm(input);
    AttentionOutput attention = self_attn(hidden_states, rotation, mask);
    hidden_states = std::move(attention.output);
    hidden_states = add(residual, dropout(hidden_states, dropped));
    residual = hidden_states;
    hidden_states = post_attention_layernorm(hidden_states);
    hidden_states = mlp(hidden_states);
    hidden_states = add(residual, dropout(hidden_states, dropped));
    return hidden_states;
  }
};

/// LLaMA's parts; a family derives from them and names those it has otherwise.
struct LlamaParts {
  using TokenEmbedding = Embedding;
  using Rotary = RotaryEmbedding;
  using Layer = PreNormLayer<>;
  using Norm = RmsNorm;
  static Tensor scale_embeddings(Tensor inputs_embeds) { return inputs_embeds; }
  static constexpr const char* kModel = "model";
  static constexpr const char* kEmbedding = "embed_tokens";
  static constexpr const char* kLayers = "layers.*";
  static constexpr const char* kNorm = "norm";
  static Tensor scale_logits(const Builder& /*b*/, Tensor logits) { return logits; }
  static constexpr bool kKeepsEmbeddings = true;
};

}  // namespace peakmem
