// EXAONE 4: norms behind attention and MLP and over each head of q and k; three windowed layers to a full one, which
// turns nothing (transformers 5.23, models/exaone4/modeling_exaone4.py).
#include "family/llama.h"

namespace peakmem {
namespace {

/// Without windows all layers turn.
struct ExaoneRotary : RotaryEmbedding {
  explicit ExaoneRotary(const Builder& b) : RotaryEmbedding(b), all_turn(b.description.window == 0) {}
  Rotations operator()(const Tensor& hidden_states, const Tensor& position_ids) const {
    Rotations rotations = in_dtype(hidden_states.dtype(), position_ids);
    rotations.full.turns = all_turn;
    return rotations;
  }
  bool all_turn;
};

/// Exaone4Attention.
struct ExaoneAttention : SelfAttention {
  RmsNorm q_norm, k_norm;

  explicit ExaoneAttention(const Builder& builder)
      : SelfAttention(builder), q_norm(b, "q_norm", b.dims.head_dim), k_norm(b, "k_norm", b.dims.head_dim) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
    Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
    Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    query = q_norm(query);
    key = k_norm(key);
    apply_rotary(b, query, key, rotation);
    return finish(std::move(query), std::move(key), std::move(value), mask);
  }
};

/// Exaone4DecoderLayer.
struct ExaoneLayer {
  ExaoneAttention self_attn;
  Mlp mlp;
  RmsNorm post_attention_layernorm, post_feedforward_layernorm;

  explicit ExaoneLayer(const Builder& b)
      : self_attn(named<ExaoneAttention>(b, "self_attn")),
        mlp(named<Mlp>(b, "mlp")),
        post_attention_layernorm(b, "post_attention_layernorm", b.dims.hidden),
        post_feedforward_layernorm(b, "post_feedforward_layernorm", b.dims.hidden) {}

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    Tensor residual = input;
    AttentionOutput attention = self_attn(input, rotation, mask);
    Tensor hidden_states = std::move(attention.output);
    hidden_states = post_attention_layernorm(hidden_states);
    hidden_states = add(residual, hidden_states);
    residual = hidden_states;
    hidden_states = mlp(hidden_states);
    hidden_states = post_feedforward_layernorm(hidden_states);
    hidden_states = add(residual, hidden_states);
    return hidden_states;
  }
};

struct ExaoneParts : LlamaParts {
  using Rotary = ExaoneRotary;
  using Layer = ExaoneLayer;
};

/// sliding_window: null is none; sliding_window_pattern then means nothing.
void read_windows(Fields& fields, Description& d) {
  d.maps_masks = true;
  const Value* pattern = fields.find("sliding_window_pattern");
  const bool letters = pattern != nullptr && pattern->kind == Value::Kind::kString;
  if (fields.find("sliding_window") != nullptr && !fields.has("sliding_window")) {
    fields.ignore({"layer_types"});
    return;
  }
  d.window = fields.size("sliding_window", 4096);
  const int64_t period =
      letters ? static_cast<int64_t>(pattern->string.size()) : fields.size("sliding_window_pattern", 4);
  if (letters && fields.texts("layer_types").empty())
    return fields.fail("sliding_window_pattern", "in letters needs layer_types", "set it to their number");
  read_alternation(fields, d, period);
}

Description read(Fields& fields) {
  Description d = read_decoder(fields, 102400, 4096, 16384, 2048);
  d.kv_heads = read_kv_heads(fields, d.heads, 32);
  read_windows(fields, d);
  return d;
}

}  // namespace

const Family kExaone4 = {"exaone4",
                         "EXAONE 4",
                         "transformers 5.23, models/exaone4",
                         Task::kCausalLm,
                         decoder_tasks(DecoderHeads::kAnswers),
                         read,
                         build_decoder<ExaoneParts>};

}  // namespace peakmem
