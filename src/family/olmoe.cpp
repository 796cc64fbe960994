// OLMoE: a mixture of experts in every MLP, and norms over all of q and k (transformers 5.23,
// models/olmoe/modeling_olmoe.py).
#include "family/llama.h"
#include "model/experts.h"
#include "trace/clamp.h"

namespace peakmem {
namespace {

/// OlmoeAttention.
struct OlmoeAttention : SelfAttention {
  RmsNorm q_norm, k_norm;

  explicit OlmoeAttention(const Builder& builder)
      : SelfAttention(builder),
        q_norm(b, "q_norm", b.dims.hidden),
        k_norm(b, "k_norm", b.dims.kv_heads * b.dims.head_dim) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = q_norm(q_proj(hidden_states));
    Tensor key = k_norm(k_proj(hidden_states));
    Tensor value = v_proj(hidden_states);
    if (b.description.clips_projections)
      for (Tensor* states : {&query, &key, &value}) *states = clamp_in_place(std::move(*states));
    query = as_heads(query, d.heads, d.head_dim);
    key = as_heads(key, d.kv_heads, d.head_dim);
    value = as_heads(value, d.kv_heads, d.head_dim);
    apply_rotary(b, query, key, rotation);
    return finish(std::move(query), std::move(key), std::move(value), mask);
  }
};

struct OlmoeParts : LlamaParts {
  using Layer = PreNormLayer<OlmoeAttention, SparseMoe>;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 50304, 2048, 2048, 4096);
  d.layers = fields.size("num_hidden_layers", 16);
  d.heads = fields.size("num_attention_heads", 16);
  d.kv_heads = fields.optional_size("num_key_value_heads").value_or(d.heads);
  d.head_dim = d.hidden / d.heads;
  d.head_dim_is_quotient = true;
  read_experts(fields, d, 64, 8);
  d.normalizes_routing = fields.flag("norm_topk_prob", false);
  d.casts_routing = true;
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.clips_projections = fields.has("clip_qkv");
  d.has_padding_token = true;
  check_head_quotient(fields, d);
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kFeatureExtraction};

}  // namespace

const Family kOlmoe = {"olmoe", "OLMoE", "transformers 5.23, models/olmoe", Task::kCausalLm,
                       kTasks,  read,    build_decoder<OlmoeParts>};

}  // namespace peakmem
