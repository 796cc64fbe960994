// OLMo: LLaMA with norms that have no parameters and rotary products in fp32; OLMo 2: with norms behind attention and
// MLP instead of before them, and over all of q and k; OLMo 3: three windowed layers to a full one (transformers 5.23,
// models/olmo/modeling_olmo.py, models/olmo2/modeling_olmo2.py and models/olmo3/modeling_olmo3.py).
#include "family/olmo2.h"
#include "family/llama.h"
#include "trace/clamp.h"

namespace peakmem {
namespace {

/// Olmo2RotaryEmbedding: cos and sin stay in fp32.
struct Olmo2Rotary : RotaryEmbedding {
  using RotaryEmbedding::RotaryEmbedding;
  Rotation operator()(const Tensor& /*hidden_states*/, const Tensor& position_ids) const {
    return in_dtype(DType::kFloat32, position_ids);
  }
};

/// OlmoLayerNorm: in fp32, without parameters.
class OlmoLayerNorm {
 public:
  OlmoLayerNorm(const Builder& b, const char* name, Expr /*width*/) : b_(b), name_(name) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b_.tape, name_);
    return to(layer_norm(to(input, DType::kFloat32), Tensor(), Tensor()), input.dtype());
  }

 private:
  const Builder& b_;
  const char* name_;
};

/// What both do with their projections [B, T, heads·D].
struct OlmoAttentionBase : SelfAttention {
  using SelfAttention::SelfAttention;

  AttentionOutput attend_turned(Tensor query, Tensor key, Tensor value, const Rotation& rotation,
                                const Tensor& mask) const {
    const Dims& d = b.dims;
    query = as_heads(query, d.heads, d.head_dim);
    key = as_heads(key, d.kv_heads, d.head_dim);
    value = as_heads(value, d.kv_heads, d.head_dim);
    turn(query, key, rotation);
    return finish(std::move(query), std::move(key), std::move(value), mask);
  }

 private:
  /// apply_rotary_pos_emb: its results are cast back as it returns, before any of them goes.
  void turn(Tensor& query, Tensor& key, const Rotation& rotation) const {
    Tensor query_embed = query;
    Tensor key_embed = key;
    apply_rotary(b, query_embed, key_embed, rotation);
    Tensor turned_query = to(query_embed, query.dtype());
    Tensor turned_key = to(key_embed, key.dtype());
    query_embed.reset();
    key_embed.reset();
    query = std::move(turned_query);
    key = std::move(turned_key);
  }
};

/// OlmoAttention.
struct OlmoAttention : OlmoAttentionBase {
  using OlmoAttentionBase::OlmoAttentionBase;

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    Tensor query = q_proj(hidden_states);
    Tensor key = k_proj(hidden_states);
    Tensor value = v_proj(hidden_states);
    if (b.description.clips_projections)
      for (Tensor* states : {&query, &key, &value}) *states = clamp_in_place(std::move(*states));
    return attend_turned(std::move(query), std::move(key), std::move(value), rotation, mask);
  }
};

/// Olmo2Attention.
struct Olmo2Attention : OlmoAttentionBase {
  Olmo2RmsNorm q_norm, k_norm;

  explicit Olmo2Attention(const Builder& builder)
      : OlmoAttentionBase(builder),
        q_norm(b, "q_norm", b.dims.heads * b.dims.head_dim, Patched::kLeft),
        k_norm(b, "k_norm", b.dims.kv_heads * b.dims.head_dim, Patched::kLeft) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    Tensor query = q_norm(q_proj(hidden_states));
    Tensor key = k_norm(k_proj(hidden_states));
    Tensor value = v_proj(hidden_states);
    return attend_turned(std::move(query), std::move(key), std::move(value), rotation, mask);
  }
};

/// Olmo2DecoderLayer.
struct PostNormLayer {
  Olmo2Attention self_attn;
  Mlp mlp;
  Olmo2RmsNorm post_attention_layernorm, post_feedforward_layernorm;

  explicit PostNormLayer(const Builder& b)
      : self_attn(named<Olmo2Attention>(b, "self_attn")),
        mlp(named<Mlp>(b, "mlp")),
        post_attention_layernorm(b, "post_attention_layernorm", b.dims.hidden, Patched::kOutOfPlace),
        post_feedforward_layernorm(b, "post_feedforward_layernorm", b.dims.hidden, Patched::kOutOfPlace) {}

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

struct OlmoParts : LlamaParts {
  using Rotary = Olmo2Rotary;
  using Layer = PreNormLayer<OlmoAttention, Mlp, OlmoLayerNorm>;
  using Norm = OlmoLayerNorm;
};

struct Olmo2Parts : LlamaParts {
  using Rotary = Olmo2Rotary;
  using Layer = PostNormLayer;
  using Norm = Olmo2RmsNorm;
};

/// Olmo3RotaryEmbedding: angles for each kind of layer, in fp32.
struct Olmo3Rotary : RotaryByKind {
  using RotaryByKind::RotaryByKind;
  Rotations operator()(const Tensor& /*hidden_states*/, const Tensor& position_ids) const {
    return in_dtype(DType::kFloat32, position_ids);
  }
};

struct Olmo3Parts : Olmo2Parts {
  using Rotary = Olmo3Rotary;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 50304, 4096, 11008, 2048);
  d.kv_heads = fields.optional_size("num_key_value_heads").value_or(d.heads);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.has_padding_token = true;
  return d;
}

Description read_olmo3(Fields& fields) {
  Description d = read(fields);
  d.maps_masks = d.maps_windowed_masks = true;
  d.window = fields.size("sliding_window", 4096);
  read_alternation(fields, d, 4);
  return d;
}

Description read_olmo(Fields& fields) {
  Description d = read(fields);
  d.clips_projections = fields.has("clip_qkv");
  return d;
}

}  // namespace

const Family kOlmo = {"olmo",
                      "OLMo",
                      "transformers 5.23, models/olmo",
                      Task::kCausalLm,
                      decoder_tasks(DecoderHeads::kSequences),
                      read_olmo,
                      build_decoder<OlmoParts>};
const Family kOlmo2 = {"olmo2",
                       "OLMo 2",
                       "transformers 5.23, models/olmo2",
                       Task::kCausalLm,
                       decoder_tasks(DecoderHeads::kSequences),
                       read,
                       build_decoder<Olmo2Parts>};
const Family kOlmo3 = {"olmo3",
                       "OLMo 3",
                       "transformers 5.23, models/olmo3",
                       Task::kCausalLm,
                       decoder_tasks(DecoderHeads::kSequences),
                       read_olmo3,
                       build_decoder<Olmo3Parts>};

}  // namespace peakmem
