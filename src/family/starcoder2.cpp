// StarCoder 2: LLaMA with LayerNorm, an MLP without a gate, and dropouts (transformers 5.23,
// models/starcoder2/modeling_starcoder2.py).
#include "family/llama.h"

namespace peakmem {
namespace {

/// Starcoder2Attention.
struct DroppedAttention : SelfAttention {
  using SelfAttention::SelfAttention;

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
    Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
    Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    apply_rotary(b, query, key, rotation);
    AttentionOutput attention = finish(std::move(query), std::move(key), std::move(value), mask);
    attention.output = dropout(attention.output, b.description.inner_dropout);
    return attention;
  }
};

/// Starcoder2MLP.
struct PlainMlp {
  const Builder& b;
  Linear c_fc, c_proj;

  explicit PlainMlp(const Builder& builder)
      : b(builder),
        c_fc(b, "c_fc", b.dims.hidden, b.dims.ffn, b.description.mlp_bias),
        c_proj(b, "c_proj", b.dims.ffn, b.dims.hidden, b.description.mlp_bias) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "mlp");
    Tensor hidden_states = c_fc(input);
    hidden_states = activate(b.description.activation, hidden_states);
    hidden_states = c_proj(hidden_states);
    hidden_states = dropout(hidden_states, b.description.inner_dropout);
    return hidden_states;
  }
};

struct Starcoder2Parts : LlamaParts {
  using Layer = PreNormLayer<DroppedAttention, PlainMlp, LayerNorm>;
  using Norm = LayerNorm;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 49152, 3072, 12288, 4096);
  d.layers = fields.size("num_hidden_layers", 30);
  d.heads = fields.size("num_attention_heads", 24);
  d.kv_heads = fields.size("num_key_value_heads", 2);
  d.head_dim = fields.optional_size("head_dim").value_or(d.hidden / d.heads);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.activation = read_activation(fields, "hidden_act", "gelu_pytorch_tanh");
  d.tied = fields.flag("tie_word_embeddings", true);
  d.embedding_dropout = fields.probability("embedding_dropout", 0.0);
  d.inner_dropout = fields.probability("residual_dropout", 0.0);
  d.qkv_bias = d.output_bias = d.mlp_bias = fields.flag("use_bias", true);
  if (fields.has("sliding_window")) d.window = fields.size("sliding_window", 4096);
  d.runs = {{d.layers, d.window > 0}};
  fields.ignore({"norm_epsilon", "norm_type", "mlp_type", "attention_softmax_in_fp32",
                 "scale_attention_softmax_in_fp32", "scale_attn_weights",
                 "activation_function"});  // not read by the model
  check_head_quotient(fields, d);
  return d;
}

}  // namespace

const Family kStarcoder2 = {"starcoder2",
                            "StarCoder 2",
                            "transformers 5.23, models/starcoder2",
                            Task::kCausalLm,
                            decoder_tasks(DecoderHeads::kTokens),
                            read,
                            build_decoder<Starcoder2Parts>};

}  // namespace peakmem
