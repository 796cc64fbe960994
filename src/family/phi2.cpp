// Phi-1, 1.5 and 2: attention and MLP read one LayerNorm, a part of each head is turned, and everything has a bias, the
// head too (transformers 5.23, models/phi/modeling_phi.py).
#include "family/llama.h"
#include "model/cache.h"

namespace peakmem {
namespace {

/// PhiAttention.
struct PhiAttention {
  const Builder& b;
  Linear q_proj, k_proj, v_proj, dense;

  explicit PhiAttention(const Builder& builder)
      : b(builder),
        q_proj(b, "q_proj", b.dims.hidden, b.dims.heads * b.dims.head_dim, true),
        k_proj(b, "k_proj", b.dims.hidden, b.dims.kv_heads * b.dims.head_dim, true),
        v_proj(b, "v_proj", b.dims.hidden, b.dims.kv_heads * b.dims.head_dim, true),
        dense(b, "dense", b.dims.heads * b.dims.head_dim, b.dims.hidden, true) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
    Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
    Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    HeadParts query_parts = head_parts(b, query);
    HeadParts key_parts = head_parts(b, key);
    apply_rotary(b, query_parts.turned, key_parts.turned, rotation);
    query = cat(query_parts.turned, query_parts.rest, -1);
    key = cat(key_parts.turned, key_parts.rest, -1);
    update_cache(b, key, value);
    AttentionOutput attention = attend_causally(b, query, key, value, mask);
    attention.output = dense(attention.output);
    return attention;
  }
};

/// PhiMLP.
struct PhiMlp {
  const Builder& b;
  Linear fc1, fc2;

  explicit PhiMlp(const Builder& builder)
      : b(builder), fc1(b, "fc1", b.dims.hidden, b.dims.ffn, true), fc2(b, "fc2", b.dims.ffn, b.dims.hidden, true) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "mlp");
    Tensor hidden_states = fc1(input);
    hidden_states = activate(b.description.activation, hidden_states);
    hidden_states = fc2(hidden_states);
    return hidden_states;
  }
};

/// PhiDecoderLayer.
struct PhiLayer {
  PhiAttention self_attn;
  PhiMlp mlp;
  LayerNorm input_layernorm;
  double dropped;

  explicit PhiLayer(const Builder& b)
      : self_attn(named<PhiAttention>(b, "self_attn")),
        mlp(named<PhiMlp>(b, "mlp")),
        input_layernorm(b, "input_layernorm", b.dims.hidden),
        dropped(b.description.hidden_dropout) {}

  Tensor operator()(const Tensor& residual, const Rotation& rotation, const Tensor& mask) const {
    Tensor hidden_states = input_layernorm(residual);
    AttentionOutput attended = self_attn(hidden_states, rotation, mask);
    attended.output = dropout(attended.output, dropped);
    const Tensor feed_forward_hidden_states = dropout(mlp(hidden_states), dropped);
    hidden_states = add(add(attended.output, feed_forward_hidden_states), residual);
    return hidden_states;
  }
};

struct PhiParts : LlamaParts {
  using Layer = PhiLayer;
  using Norm = LayerNorm;
  static constexpr const char* kNorm = "final_layernorm";
  static constexpr bool kKeepsEmbeddings = false;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 51200, 2048, 8192, 2048);
  d.layers = fields.size("num_hidden_layers", 24);
  d.kv_heads = fields.optional_size("num_key_value_heads").value_or(d.heads);
  d.activation = read_activation(fields, "hidden_act", "gelu_new");
  d.embedding_dropout = fields.probability("embd_pdrop", 0.0);
  d.hidden_dropout = fields.probability("resid_pdrop", 0.0);
  d.rotary = read_rotary(fields, d.head_dim, 0.5);
  d.head_bias = true;
  fields.refuse_flag("qk_layernorm", false, "gives every head of q and k a norm of its own");
  check_head_quotient(fields, d);
  return d;
}

}  // namespace

const Family kPhi = {"phi",
                     "Phi-1, Phi-1.5 and Phi-2",
                     "transformers 5.23, models/phi",
                     Task::kCausalLm,
                     decoder_tasks(DecoderHeads::kTokens),
                     read,
                     build_decoder<PhiParts>};

}  // namespace peakmem
