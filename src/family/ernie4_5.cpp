// ERNIE 4.5: LLaMA whose positions are turned in pairs of neighbours in fp32 (transformers 5.23,
// models/ernie4_5/modeling_ernie4_5.py).
#include "family/llama.h"

namespace peakmem {
namespace {

/// Ernie4_5RotaryEmbedding: cos and sin stay in fp32.
struct ErnieRotary : RotaryEmbedding {
  using RotaryEmbedding::RotaryEmbedding;
  Rotation operator()(const Tensor& /*hidden_states*/, const Tensor& position_ids) const {
    return in_dtype(DType::kFloat32, position_ids);
  }
};

/// (x.float() * cos) + (rotate_half(x).float() * sin)
Tensor rotate_in_fp32(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  Tensor straight = mul(to(x, DType::kFloat32), cos);
  Tensor turned = mul(to(rotate_every_two(x), DType::kFloat32), sin);
  return add(std::move(straight), std::move(turned));
}

/// apply_rotary_pos_emb: cos and sin are made anew in every layer.
void turn(Tensor& query, Tensor& key, const Rotation& rotation) {
  const Scope scope(query.tape(), "rotary");
  const Tensor cos = repeat_pairs(unsqueeze(rotation.cos, 1));
  const Tensor sin = repeat_pairs(unsqueeze(rotation.sin, 1));
  const Tensor query_embed = rotate_in_fp32(query, cos, sin);
  const Tensor key_embed = rotate_in_fp32(key, cos, sin);
  Tensor turned_query = to(query_embed, query.dtype());
  key = to(key_embed, key.dtype());
  query = std::move(turned_query);
}

/// Ernie4_5Attention.
struct ErnieAttention : SelfAttention {
  using SelfAttention::SelfAttention;

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
    Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
    Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    turn(query, key, rotation);
    return finish(std::move(query), std::move(key), std::move(value), mask);
  }
};

struct ErnieParts : LlamaParts {
  using Rotary = ErnieRotary;
  using Layer = PreNormLayer<ErnieAttention>;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 103424, 1024, 3072, 131072);
  d.layers = fields.size("num_hidden_layers", 18);
  d.heads = fields.size("num_attention_heads", 16);
  d.kv_heads = read_kv_heads(fields, d.heads, 2);
  d.head_dim =
      fields.find("head_dim") != nullptr && !fields.has("head_dim") ? d.hidden / d.heads : fields.size("head_dim", 128);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.attention_dropout = 0;  // not read by the model
  d.tied = fields.flag("tie_word_embeddings", true);
  d.qkv_bias = d.output_bias = d.mlp_bias = fields.flag("use_bias", false);
  d.has_padding_token = true;
  fields.ignore({"attention_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "compression_ratio"});
  return d;
}

}  // namespace

const Family kErnie45 = {"ernie4_5",
                         "ERNIE 4.5",
                         "transformers 5.23, models/ernie4_5",
                         Task::kCausalLm,
                         decoder_tasks(DecoderHeads::kNone),
                         read,
                         build_decoder<ErnieParts>};

}  // namespace peakmem
