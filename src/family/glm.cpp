// GLM-4: LLaMA with gate and up in one projection, half of each head turned in pairs of neighbours; the later
// GLM-4-0414 adds norms behind attention and MLP (transformers 5.23, models/glm/modeling_glm.py and
// models/glm4/modeling_glm4.py).
#include "family/llama.h"

namespace peakmem {
namespace {

/// apply_rotary_pos_emb: cos and sin are made anew in every layer.
void turn(const Builder& b, Tensor& query, Tensor& key, const Rotation& rotation) {
  const Scope scope(b.tape, "rotary");
  const Tensor cos = repeat_pairs(unsqueeze(rotation.cos, 1));
  const Tensor sin = repeat_pairs(unsqueeze(rotation.sin, 1));
  const HeadParts q = head_parts(b, query);
  const HeadParts k = head_parts(b, key);
  Tensor query_embed = rotate_pairs(q.turned, cos, sin);
  Tensor key_embed = rotate_pairs(k.turned, cos, sin);
  query_embed = cat(query_embed, q.rest, -1);
  key = cat(key_embed, k.rest, -1);
  query = std::move(query_embed);
}

/// GlmAttention.
struct GlmAttention : SelfAttention {
  using SelfAttention::SelfAttention;

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
    Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
    Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    turn(b, query, key, rotation);
    return finish(std::move(query), std::move(key), std::move(value), mask);
  }
};

struct GlmParts : LlamaParts {
  using Layer = PreNormLayer<GlmAttention, FusedMlp>;
};

/// Glm4DecoderLayer.
struct Glm4Layer : PreNormLayer<GlmAttention, FusedMlp> {
  RmsNorm post_self_attn_layernorm, post_mlp_layernorm;

  explicit Glm4Layer(const Builder& b)
      : PreNormLayer(b),
        post_self_attn_layernorm(b, "post_self_attn_layernorm", b.dims.hidden),
        post_mlp_layernorm(b, "post_mlp_layernorm", b.dims.hidden) {}

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    Tensor residual = input;
    Tensor hidden_states = input_layernorm(input);
    AttentionOutput attention = self_attn(hidden_states, rotation, mask);
    hidden_states = std::move(attention.output);
    hidden_states = post_self_attn_layernorm(hidden_states);
    hidden_states = add(residual, hidden_states);
    residual = hidden_states;
    hidden_states = post_attention_layernorm(hidden_states);
    hidden_states = mlp(hidden_states);
    hidden_states = post_mlp_layernorm(hidden_states);
    hidden_states = add(residual, hidden_states);
    return hidden_states;
  }
};

struct Glm4Parts : LlamaParts {
  using Layer = Glm4Layer;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 151552, 4096, 13696, 131072);
  d.layers = fields.size("num_hidden_layers", 40);
  d.kv_heads = read_kv_heads(fields, d.heads, 2);
  d.head_dim = fields.size("head_dim", 128);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.rotary = read_rotary(fields, d.head_dim, 0.5);
  d.qkv_bias = fields.flag("attention_bias", true);
  d.has_padding_token = true;
  return d;
}

}  // namespace

const Family kGlm = {"glm",
                     "GLM-4-9B",
                     "transformers 5.23, models/glm",
                     Task::kCausalLm,
                     decoder_tasks(DecoderHeads::kTokens),
                     read,
                     build_decoder<GlmParts>};
const Family kGlm4 = {"glm4",
                      "GLM-4-0414",
                      "transformers 5.23, models/glm4",
                      Task::kCausalLm,
                      decoder_tasks(DecoderHeads::kTokens),
                      read,
                      build_decoder<Glm4Parts>};

}  // namespace peakmem
