// Hunyuan's dense models: LLaMA with a norm over each head of q and k after they are turned (transformers 5.23,
// models/hunyuan_v1_dense/modeling_hunyuan_v1_dense.py).
#include "family/llama.h"

namespace peakmem {
namespace {

/// HunYuanDenseV1Attention.
struct HunyuanAttention : SelfAttention {
  RmsNorm query_layernorm, key_layernorm;

  explicit HunyuanAttention(const Builder& builder)
      : SelfAttention(builder),
        query_layernorm(b, "query_layernorm", b.dims.head_dim),
        key_layernorm(b, "key_layernorm", b.dims.head_dim) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
    Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
    Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    apply_rotary(b, query, key, rotation);
    query = query_layernorm(query);
    key = key_layernorm(key);
    return finish(std::move(query), std::move(key), std::move(value), mask);
  }
};

struct HunyuanParts : LlamaParts {
  using Layer = PreNormLayer<HunyuanAttention>;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 290943, 4096, 11008, 2048);
  d.kv_heads = fields.optional_size("num_key_value_heads").value_or(d.heads);
  if (!fields.has("head_dim"))
    fields.fail("head_dim", "is missing, without which transformers raises", "128, as a rule");
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.has_padding_token = true;
  fields.ignore({"eod_token_id", "pretraining_tp", "use_qk_norm", "use_cla", "mlp_bias"});  // not read by the model
  return d;
}

}  // namespace

const Family kHunyuanDense = {"hunyuan_v1_dense",
                              "Hunyuan (dense)",
                              "transformers 5.23, models/hunyuan_v1_dense",
                              Task::kCausalLm,
                              decoder_tasks(DecoderHeads::kSequences),
                              read,
                              build_decoder<HunyuanParts>};

}  // namespace peakmem
