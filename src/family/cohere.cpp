// Cohere's Command R: attention and MLP read one norm in fp32, positions are turned in pairs of neighbours in fp32, and
// the logits are scaled; Cohere 2: three windowed layers to a full one, which turns nothing (transformers 5.23,
// models/cohere/modeling_cohere.py and models/cohere2/modeling_cohere2.py).
#include <optional>

#include "family/llama.h"

namespace peakmem {
namespace {

/// CohereLayerNorm: by hand, without a bias; over each head it has a weight for every head.
class CohereNorm {
 public:
  CohereNorm(const Builder& b, const char* name, Expr width) : CohereNorm(b, name, Shape{width}) {}
  CohereNorm(const Builder& b, const char* name, const Shape& sizes) : name_(name) {
    const Scope scope(b.tape, name);
    weight_ = b.norm_parameter(sizes, "weight");
  }

  Tensor operator()(const Tensor& input) const {
    const Scope scope(weight_.tape(), name_);
    Tensor hidden_states = to(input, DType::kFloat32);
    const Tensor mean = mean_last(hidden_states);
    const Tensor variance = mean_last(pow_scalar(sub(hidden_states, mean)));
    Tensor centred = sub(hidden_states, mean);
    hidden_states = mul(std::move(centred), rsqrt(add_scalar(variance)));
    hidden_states = mul(to(weight_, DType::kFloat32), hidden_states);
    return to(hidden_states, input.dtype());
  }

 private:
  const char* name_;
  Tensor weight_;
};

/// apply_rotary_pos_emb: in fp32, and cast back as it returns.
void turn(Tensor& query, Tensor& key, const Rotation& rotation) {
  const Scope scope(query.tape(), "rotary");
  const Tensor q = to(query, DType::kFloat32);
  const Tensor k = to(key, DType::kFloat32);
  const Tensor cos = unsqueeze(rotation.cos, 1);
  const Tensor sin = unsqueeze(rotation.sin, 1);
  const Tensor query_embed = rotate_pairs(q, cos, sin);
  const Tensor key_embed = rotate_pairs(k, cos, sin);
  Tensor turned_query = to(query_embed, query.dtype());
  key = to(key_embed, key.dtype());
  query = std::move(turned_query);
}

/// CohereAttention.
struct CohereAttention : SelfAttention {
  std::optional<CohereNorm> q_norm, k_norm;

  explicit CohereAttention(const Builder& builder) : SelfAttention(builder) {
    if (!b.description.norms_heads) return;
    q_norm.emplace(b, "q_norm", Shape{b.dims.heads, b.dims.head_dim});
    k_norm.emplace(b, "k_norm", Shape{b.dims.kv_heads, b.dims.head_dim});
  }

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = split_dim(q_proj(hidden_states), 2, d.heads, d.head_dim);
    Tensor key = split_dim(k_proj(hidden_states), 2, d.kv_heads, d.head_dim);
    Tensor value = split_dim(v_proj(hidden_states), 2, d.kv_heads, d.head_dim);
    if (q_norm) query = (*q_norm)(query);
    if (k_norm) key = (*k_norm)(key);
    query = transpose(query, 1, 2);
    key = transpose(key, 1, 2);
    value = transpose(value, 1, 2);
    if (rotation.turns) turn(query, key, rotation);
    return finish(std::move(query), std::move(key), std::move(value), mask);
  }
};

/// CohereDecoderLayer.
struct CohereLayer {
  CohereAttention self_attn;
  Mlp mlp;
  CohereNorm input_layernorm;

  explicit CohereLayer(const Builder& b)
      : self_attn(named<CohereAttention>(b, "self_attn")),
        mlp(named<Mlp>(b, "mlp")),
        input_layernorm(b, "input_layernorm", b.dims.hidden) {}

  Tensor operator()(const Tensor& residual, const Rotation& rotation, const Tensor& mask) const {
    Tensor hidden_states = input_layernorm(residual);
    const AttentionOutput attended = self_attn(hidden_states, rotation, mask);
    const Tensor hidden_states_mlp = mlp(hidden_states);
    hidden_states = add(add(residual, attended.output), hidden_states_mlp);
    return hidden_states;
  }
};

struct CohereParts : LlamaParts {
  using Layer = CohereLayer;
  using Norm = CohereNorm;
  static Tensor scale_logits(const Builder& /*b*/, Tensor logits) { return mul_scalar(logits); }
};

struct Cohere2Parts : CohereParts {
  using Rotary = WindowedRotary;
};

Description read_common(Fields& fields) {
  Description d = read_decoder(fields, 256000, 8192, 22528, 8192);
  d.layers = fields.size("num_hidden_layers", 40);
  d.heads = fields.size("num_attention_heads", 64);
  d.kv_heads = fields.optional_size("num_key_value_heads").value_or(d.heads);
  d.head_dim = fields.optional_size("head_dim").value_or(d.hidden / d.heads);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.tied = fields.flag("tie_word_embeddings", true);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.has_padding_token = true;
  fields.ignore({"logit_scale", "pretraining_tp"});  // whatever it is, the product is made
  return d;
}

Description read_cohere(Fields& fields) {
  Description d = read_common(fields);
  d.norms_heads = fields.flag("use_qk_norm", false);
  return d;
}

Description read_cohere2(Fields& fields) {
  Description d = read_common(fields);
  d.maps_masks = d.maps_windowed_masks = true;
  d.window = fields.size("sliding_window", 4096);
  read_alternation(fields, d, fields.size("sliding_window_pattern", 4, "_sliding_window_pattern"));
  fields.ignore({"order_of_interleaved_layers", "position_embedding_type", "rotary_pct", "use_embedding_sharing",
                 "use_gated_activation", "use_parallel_block", "use_parallel_embedding", "use_qk_norm",
                 "cache_implementation"});  // not read by the model
  return d;
}

}  // namespace

const Family kCohere = {"cohere",
                        "Command R",
                        "transformers 5.23, models/cohere",
                        Task::kCausalLm,
                        decoder_tasks(DecoderHeads::kNone),
                        read_cohere,
                        build_decoder<CohereParts>};
const Family kCohere2 = {"cohere2",
                         "Command R7B and A",
                         "transformers 5.23, models/cohere2",
                         Task::kCausalLm,
                         decoder_tasks(DecoderHeads::kNone),
                         read_cohere2,
                         build_decoder<Cohere2Parts>};

}  // namespace peakmem
