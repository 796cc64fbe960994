// GPT-NeoX and Pythia: attention and MLP side by side on one residual, query, key and value in one projection, a part
// of each head turned (transformers 5.23, models/gpt_neox/modeling_gpt_neox.py).
#include "family/llama.h"
#include "model/cache.h"

namespace peakmem {
namespace {

/// GPTNeoXAttention.
struct NeoxAttention {
  const Builder& b;
  Linear query_key_value, dense;

  explicit NeoxAttention(const Builder& builder)
      : b(builder),
        query_key_value(b, "query_key_value", b.dims.hidden, 3 * b.dims.hidden, b.description.qkv_bias),
        dense(b, "dense", b.dims.hidden, b.dims.hidden, b.description.output_bias) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "attention");
    const Tensor qkv = as_heads(query_key_value(hidden_states), b.dims.heads, 3 * b.dims.head_dim);
    auto [query, key, value] = split_in_three(qkv, 3);
    apply_partial_rotary(b, query, key, rotation, Joined::kAfterBoth);
    update_cache(b, key, value);
    AttentionOutput attention = attend_causally(b, query, key, value, mask);
    attention.output = dense(attention.output);
    return attention;
  }
};

/// GPTNeoXMLP.
struct NeoxMlp {
  const Builder& b;
  Linear dense_h_to_4h, dense_4h_to_h;

  explicit NeoxMlp(const Builder& builder)
      : b(builder),
        dense_h_to_4h(b, "dense_h_to_4h", b.dims.hidden, b.dims.ffn, true),
        dense_4h_to_h(b, "dense_4h_to_h", b.dims.ffn, b.dims.hidden, true) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "mlp");
    Tensor hidden_states = dense_h_to_4h(input);
    hidden_states = activate(b.description.activation, hidden_states);
    hidden_states = dense_4h_to_h(hidden_states);
    return hidden_states;
  }
};

/// GPTNeoXLayer.
struct NeoxLayer {
  const Builder& b;
  LayerNorm input_layernorm, post_attention_layernorm;
  NeoxAttention attention;
  NeoxMlp mlp;

  explicit NeoxLayer(const Builder& builder)
      : b(builder),
        input_layernorm(b, "input_layernorm", b.dims.hidden),
        post_attention_layernorm(b, "post_attention_layernorm", b.dims.hidden),
        attention(named<NeoxAttention>(b, "attention")),
        mlp(named<NeoxMlp>(b, "mlp")) {}

  Tensor feed_forward(const Tensor& input) const {
    Tensor mlp_output = mlp(post_attention_layernorm(input));
    mlp_output = dropout(mlp_output, b.description.hidden_dropout);
    return mlp_output;
  }

  Tensor operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    AttentionOutput attended = attention(input_layernorm(hidden_states), rotation, mask);
    attended.output = dropout(attended.output, b.description.hidden_dropout);
    if (b.description.parallel_residual) {
      const Tensor mlp_output = feed_forward(hidden_states);
      return add(add(mlp_output, attended.output), hidden_states);
    }
    attended.output = add(attended.output, hidden_states);
    const Tensor mlp_output = feed_forward(attended.output);
    return add(mlp_output, attended.output);
  }
};

struct NeoxParts : LlamaParts {
  using Layer = NeoxLayer;
  using Norm = LayerNorm;
  static constexpr const char* kModel = "gpt_neox";
  static constexpr const char* kEmbedding = "embed_in";
  static constexpr const char* kNorm = "final_layer_norm";
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 50432, 6144, 24576, 2048);
  d.layers = fields.size("num_hidden_layers", 44);
  d.heads = d.kv_heads = fields.size("num_attention_heads", 64);
  d.head_dim = d.hidden / d.heads;
  d.head_dim_is_quotient = true;
  d.activation = read_activation(fields, "hidden_act", "gelu");
  d.embedding_dropout = d.hidden_dropout = fields.probability("hidden_dropout", 0.0);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", true);
  d.parallel_residual = fields.flag("use_parallel_residual", true);
  const Value* share = fields.find("rotary_pct");
  // convert_rope_params_to_dict of its config: rope_parameters.setdefault("partial_rotary_factor", rotary_pct)
  d.rotary = read_rotary_of_parameters(fields, d.head_dim, share == nullptr ? 0.25 : share->real);
  d.token_dropout = fields.probability("classifier_dropout", 0.1);
  fields.ignore({"rotary_emb_base", "is_decoder"});  // not read by the model
  check_head_quotient(fields, d);
  return d;
}

constexpr SizeNames kSizes = {"num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size"};

}  // namespace

const Family kGptNeox = {"gpt_neox",
                         "GPT-NeoX and Pythia",
                         "transformers 5.23, models/gpt_neox",
                         Task::kCausalLm,
                         decoder_tasks(DecoderHeads::kAnswers),
                         read,
                         build_decoder<NeoxParts>,
                         &kSizes};

}  // namespace peakmem
