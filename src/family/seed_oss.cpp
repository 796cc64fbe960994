// Seed-OSS: LLaMA with dropouts and biases of its own (transformers 5.23, models/seed_oss/modeling_seed_oss.py).
#include "family/llama.h"

namespace peakmem {
namespace {

/// SeedOssAttention, whose names live on into its dropout.
struct SeedOssAttention : SelfAttention {
  using SelfAttention::SelfAttention;

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
    Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
    const Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    apply_rotary(b, query, key, rotation);
    AttentionOutput attention = finish(query, key, value, mask);
    attention.output = dropout(attention.output, b.description.inner_dropout);
    return attention;
  }
};

/// SeedOssMLP.
struct SeedOssMlp : Mlp {
  using Mlp::Mlp;
  Tensor operator()(const Tensor& x) const {
    const Tensor down_proj = Mlp::operator()(x);
    return dropout(down_proj, b.description.inner_dropout);
  }
};

struct SeedOssParts : LlamaParts {
  using Layer = PreNormLayer<SeedOssAttention, SeedOssMlp>;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 155136, 4096, 27648, 524288);
  d.layers = fields.size("num_hidden_layers", 64);
  d.heads = fields.size("num_attention_heads", 80);
  d.kv_heads = read_kv_heads(fields, d.heads, 8);
  d.head_dim =
      fields.find("head_dim") != nullptr && !fields.has("head_dim") ? d.hidden / d.heads : fields.size("head_dim", 128);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.attention_dropout = fields.probability("attention_dropout", 0.1);
  d.inner_dropout = fields.probability("residual_dropout", 0.1);
  d.qkv_bias = fields.flag("attention_bias", true);
  d.output_bias = fields.flag("attention_out_bias", false);
  d.mlp_bias = fields.flag("mlp_bias", false);
  d.has_padding_token = true;
  fields.ignore({"pretraining_tp"});
  return d;
}

}  // namespace

const Family kSeedOss = {"seed_oss",
                         "Seed-OSS",
                         "transformers 5.23, models/seed_oss",
                         Task::kCausalLm,
                         decoder_tasks(DecoderHeads::kAnswers),
                         read,
                         build_decoder<SeedOssParts>};

}  // namespace peakmem
