// Gemma: LLaMA with a scaled embedding and norms that multiply by 1 + weight; Gemma 2 adds norms behind attention and
// MLP, capped scores and logits, and a window in every second layer; Gemma 3 norms of q and k, five windowed layers to
// a full one, and a rotary embedding for either kind (transformers 5.23, models/gemma/modeling_gemma.py,
// models/gemma2/modeling_gemma2.py and models/gemma3/modeling_gemma3.py).
#include "family/gemma.h"

#include "family/towers.h"

namespace peakmem {

ShiftedNorm::ShiftedNorm(const Builder& b, const char* name, Expr width) : b_(b), name_(name) {
  const Scope scope(b.tape, name);
  weight_ = b.norm_parameter({width}, "weight");
}

Tensor ShiftedNorm::operator()(const Tensor& input) const {
  const Scope scope(weight_.tape(), name_);
  if (b_.structure.kernels.norm == Kernel::kFused) return fused_norm(b_, input, weight_);
  Tensor output;
  {
    const Tensor x = to(input, DType::kFloat32);
    output = mul(x, rsqrt(add_scalar(mean_last(pow_scalar(x)))));
  }
  output = mul(output, add_scalar(to(weight_, DType::kFloat32)));
  return to(output, input.dtype());
}

namespace {

/// GemmaTextScaledWordEmbedding.
class ScaledEmbedding {
 public:
  ScaledEmbedding(const Builder& b, const char* name, Expr rows, Expr width) : embedding_(b, name, rows, width) {
    const Scope scope(b.tape, name);
    embed_scale_ = b.tape.buffer({}, b.structure.buffers, "embed_scale");
    if (b.saves()) copied_scale_ = b.tape.buffer({}, b.structure.buffers, "embed_scale");
  }
  Tensor operator()(const Tensor& indices) const {
    Tensor output = embedding_(indices);
    return mul(std::move(output), to(embed_scale_, embedding_.weight().dtype()));
  }
  const Tensor& weight() const { return embedding_.weight(); }

 private:
  Embedding embedding_;
  Tensor embed_scale_;
  Tensor copied_scale_;  // of a trained copy
};

struct GemmaParts : LlamaParts {
  using TokenEmbedding = ScaledEmbedding;
  using Layer = PreNormLayer<SelfAttention, Mlp, ShiftedNorm>;
  using Norm = ShiftedNorm;
};

/// Gemma2DecoderLayer: norms behind attention and MLP as well.
template <class Attention = SelfAttention>
struct FourNormLayer {
  Attention self_attn;
  Mlp mlp;
  ShiftedNorm input_layernorm, post_attention_layernorm, pre_feedforward_layernorm, post_feedforward_layernorm;

  explicit FourNormLayer(const Builder& b)
      : self_attn(named<Attention>(b, "self_attn")),
        mlp(named<Mlp>(b, "mlp")),
        input_layernorm(b, "input_layernorm", b.dims.hidden),
        post_attention_layernorm(b, "post_attention_layernorm", b.dims.hidden),
        pre_feedforward_layernorm(b, "pre_feedforward_layernorm", b.dims.hidden),
        post_feedforward_layernorm(b, "post_feedforward_layernorm", b.dims.hidden) {}

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    Tensor residual = input;
    Tensor hidden_states = input_layernorm(input);
    AttentionOutput attention = self_attn(hidden_states, rotation, mask);
    hidden_states = std::move(attention.output);
    hidden_states = post_attention_layernorm(hidden_states);
    hidden_states = add(residual, hidden_states);
    residual = hidden_states;
    hidden_states = pre_feedforward_layernorm(hidden_states);
    hidden_states = mlp(hidden_states);
    hidden_states = post_feedforward_layernorm(hidden_states);
    hidden_states = add(residual, hidden_states);
    return hidden_states;
  }
};

struct Gemma2Parts : GemmaParts {
  using Layer = FourNormLayer<>;
  static Tensor scale_logits(const Builder& b, Tensor logits) {
    if (!b.description.caps_logits) return logits;
    logits = div_scalar(logits);
    logits = tanh(logits);
    logits = mul_scalar(logits);
    return logits;
  }
};

/// Gemma3Attention: a norm over each head of q and k.
struct Gemma3Attention : SelfAttention {
  ShiftedNorm q_norm, k_norm;

  explicit Gemma3Attention(const Builder& builder)
      : SelfAttention(builder), q_norm(b, "q_norm", b.dims.head_dim), k_norm(b, "k_norm", b.dims.head_dim) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
    Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
    Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    query = q_norm(query);
    key = k_norm(key);
    apply_rotary(b, query, key, rotation);
    return finish(std::move(query), std::move(key), std::move(value), mask);
  }
};

struct Gemma3Parts : Gemma2Parts {
  using Rotary = RotaryByKind;
  using Layer = FourNormLayer<Gemma3Attention>;
};

/// Sizes by default, which differ between the two.
struct Defaults {
  int64_t hidden, ffn, layers, heads, kv_heads;
};

Description read_common(Fields& fields, const Defaults& otherwise) {
  Description d = read_decoder(fields, 256000, otherwise.hidden, otherwise.ffn, 8192);
  d.layers = fields.size("num_hidden_layers", otherwise.layers);
  d.heads = fields.size("num_attention_heads", otherwise.heads);
  d.kv_heads = fields.size("num_key_value_heads", otherwise.kv_heads);
  d.head_dim = fields.size("head_dim", 256);  // a size of its own, not derived
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.tied = fields.flag("tie_word_embeddings", true);
  d.has_padding_token = true;
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  fields.refuse_flag("use_bidirectional_attention", false, "turns the causal mask off");
  return d;
}

Description read_gemma(Fields& fields) {
  Description d = read_common(fields, {3072, 24576, 28, 16, 16});
  d.activation = read_activation(fields, "hidden_act", "gelu_pytorch_tanh");
  fields.ignore({"hidden_activation"});  // of older configs, not read by the model
  return d;
}

Description read_gemma2(Fields& fields) {
  Description d = read_common(fields, {2304, 9216, 26, 8, 4});
  d.activation = read_activation(fields, "hidden_activation", "gelu_pytorch_tanh");
  const auto capped = [&](const char* name) {
    return fields.find(name) == nullptr || fields.has(name);
  };  // null is off
  d.caps_attention = capped("attn_logit_softcapping");
  d.caps_logits = capped("final_logit_softcapping");
  d.eager_only = true;
  d.maps_masks = d.maps_windowed_masks = true;
  d.window = fields.size("sliding_window", 4096);
  read_alternation(fields, d, 2);
  fields.ignore({"query_pre_attn_scalar", "hidden_act", "cache_implementation"});  // change no memory
  check_head_quotient(fields, d);
  return d;
}

Description read_gemma3(Fields& fields) {
  Description d = read_common(fields, {2304, 9216, 26, 8, 4});
  d.vocab = fields.size("vocab_size", 262208);
  d.positions = fields.size("max_position_embeddings", 131072);
  d.activation = read_activation(fields, "hidden_activation", "gelu_pytorch_tanh");
  d.caps_logits = fields.has("final_logit_softcapping");
  constexpr int64_t kUsualPeriod = 6;
  const int64_t period = fields.size("sliding_window_pattern", kUsualPeriod, "_sliding_window_pattern");
  d.maps_masks = d.maps_windowed_masks = true;
  d.window = fields.size("sliding_window", 4096);
  read_alternation(fields, d, period);
  fields.ignore({"query_pre_attn_scalar", "attn_logit_softcapping", "rope_local_base_freq", "hidden_act",
                 "cache_implementation"});  // change no memory; the cap of scores is not applied
  check_head_quotient(fields, d);
  return d;
}

Description read_gemma3_with_images(Fields& fields) {
  Description d = read_text_part(fields, {"gemma3_text"});
  read_tower(fields, d, kGemma3Sight, "siglip_vision_model");
  d.image_tokens = fields.size("mm_tokens_per_image", 256);
  fit_gemma3_projector(fields, d);
  d.tied = fields.flag("tie_word_embeddings", true);
  fields.ignore({"boi_token_index", "eoi_token_index", "image_token_index"});
  return d;
}

constexpr std::array kSeeingTasks = {Task::kImageTextToText};

}  // namespace

const Family kGemma3Seeing = {
    "gemma3",     "Gemma 3 with images",   "transformers 5.23, models/gemma3", Task::kImageTextToText,
    kSeeingTasks, read_gemma3_with_images, build_decoder<Gemma3Parts>,         &kSizesOfParts};
const Family kGemma = {"gemma",
                       "Gemma",
                       "transformers 5.23, models/gemma",
                       Task::kCausalLm,
                       decoder_tasks(DecoderHeads::kTokens),
                       read_gemma,
                       build_decoder<GemmaParts>};
const Family kGemma2 = {"gemma2",
                        "Gemma 2",
                        "transformers 5.23, models/gemma2",
                        Task::kCausalLm,
                        decoder_tasks(DecoderHeads::kTokens),
                        read_gemma2,
                        build_decoder<Gemma2Parts>};
const Family kGemma3 = {"gemma3_text",
                        "Gemma 3",
                        "transformers 5.23, models/gemma3",
                        Task::kCausalLm,
                        decoder_tasks(DecoderHeads::kSequences),
                        read_gemma3,
                        build_decoder<Gemma3Parts>};

}  // namespace peakmem
