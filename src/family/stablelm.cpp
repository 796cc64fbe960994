// StableLM: LLaMA with LayerNorm, a part of each head turned, and perhaps attention and MLP side by side
// (transformers 5.23, models/stablelm/modeling_stablelm.py).
#include <optional>

#include "family/llama.h"
#include "model/cache.h"

namespace peakmem {
namespace {

/// StableLmAttention.
struct PartlyTurnedAttention : SelfAttention {
  using SelfAttention::SelfAttention;

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = q_proj(hidden_states);
    Tensor key = k_proj(hidden_states);
    Tensor value = v_proj(hidden_states);
    query = as_heads(query, d.heads, d.head_dim);
    key = as_heads(key, d.kv_heads, d.head_dim);
    value = as_heads(value, d.kv_heads, d.head_dim);
    HeadParts query_parts = head_parts(b, query);
    HeadParts key_parts = head_parts(b, key);
    apply_rotary(b, query_parts.turned, key_parts.turned, rotation);
    query = cat(query_parts.turned, query_parts.rest, -1);
    key = cat(key_parts.turned, key_parts.rest, -1);
    update_cache(b, key, value);
    AttentionOutput attention = attend_in_groups(b, query, key, value, mask);
    attention.output = merge_dims(attention.output, 2, 2);  // a view of one head, where others' is made contiguous
    attention.output = o_proj(attention.output);
    return attention;
  }
};

/// StableLmDecoderLayer.
struct StableLmLayer {
  const Builder& b;
  PartlyTurnedAttention self_attn;
  Mlp mlp;
  LayerNorm input_layernorm;
  std::optional<LayerNorm> post_attention_layernorm;

  explicit StableLmLayer(const Builder& builder)
      : b(builder),
        self_attn(named<PartlyTurnedAttention>(b, "self_attn")),
        mlp(named<Mlp>(b, "mlp")),
        input_layernorm(b, "input_layernorm", b.dims.hidden) {
    if (!b.description.parallel_residual)
      post_attention_layernorm.emplace(b, "post_attention_layernorm", b.dims.hidden);
  }

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    Tensor residual = input;
    const Tensor hidden_states = input_layernorm(input);
    const AttentionOutput attended = self_attn(hidden_states, rotation, mask);
    if (!post_attention_layernorm) {
      Tensor mlp_output = mlp(hidden_states);
      mlp_output = dropout(mlp_output, b.description.hidden_dropout);
      return add(add(residual, attended.output), mlp_output);
    }
    residual = add(residual, attended.output);
    Tensor mlp_output = mlp((*post_attention_layernorm)(residual));
    mlp_output = dropout(mlp_output, b.description.hidden_dropout);
    return add(residual, mlp_output);
  }
};

struct StableLmParts : LlamaParts {
  using Layer = StableLmLayer;
  using Norm = LayerNorm;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 50304, 2560, 6912, 4096);
  d.kv_heads = fields.size("num_key_value_heads", 32);
  d.head_dim = d.hidden / d.heads;
  d.head_dim_is_quotient = true;
  d.hidden_dropout = fields.probability("hidden_dropout", 0.0);
  d.token_dropout = read_token_dropout(fields, d.hidden_dropout);
  d.qkv_bias = fields.flag("use_qkv_bias", false);
  d.parallel_residual = fields.flag("use_parallel_residual", false);
  d.rotary = read_rotary(fields, d.head_dim, 0.25);
  fields.refuse_flag("qk_layernorm", false, "gives every head of q and k a norm of its own");
  fields.ignore({"norm_eps", "rope_pct", "rotary_scaling_factor"});  // not read by the model
  check_head_quotient(fields, d);
  return d;
}

constexpr SizeNames kSizes = {"num_hidden_layers", "num_attention_heads", "hidden_size",
                              "intermediate_size", "vocab_size",          "num_key_value_heads"};

}  // namespace

const Family kStableLm = {"stablelm",
                          "StableLM",
                          "transformers 5.23, models/stablelm",
                          Task::kCausalLm,
                          decoder_tasks(DecoderHeads::kTokens),
                          read,
                          build_decoder<StableLmParts>,
                          &kSizes};

}  // namespace peakmem
