// LLaMA, and the families that differ from it by a switch: Mistral, Mixtral, Qwen2 and 3, Gemma 1 and 2
// (transformers 5.23, models/llama/modeling_llama.py and its namesakes).
#include <variant>

#include "model/experts.h"
#include "model/family.h"
#include "model/masks.h"

namespace peakmem {
namespace {

/// What every layer is told of positions: cos and sin of the rotary embedding, [1, T, D], and the positions themselves.
struct Rotation {
  Tensor position_ids;
  Tensor cos;
  Tensor sin;
};

Tensor rotate_half(const Tensor& x) {
  const Expr half = exact_div(x.size(-1), 2);
  const Tensor x1 = slice(x, -1, half);
  const Tensor x2 = slice(x, -1, half);
  return cat(neg(x2), x1, -1);
}

Tensor rotate(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  Tensor straight = mul(x, cos);
  Tensor turned = mul(rotate_half(x), sin);
  return add(std::move(straight), std::move(turned));
}

/// LlamaAttention, and Qwen3Attention with a norm over each head.
struct SelfAttention {
  const Builder& b;
  Linear q_proj, k_proj, v_proj, o_proj;
  std::vector<RmsNorm> norms;  // q_norm and k_norm, or none

  explicit SelfAttention(const Builder& builder)
      : b(builder),
        q_proj(b, "q_proj", b.dims.hidden, b.dims.heads * b.dims.head_dim, b.description.qkv_bias),
        k_proj(b, "k_proj", b.dims.hidden, b.dims.kv_heads * b.dims.head_dim, b.description.qkv_bias),
        v_proj(b, "v_proj", b.dims.hidden, b.dims.kv_heads * b.dims.head_dim, b.description.qkv_bias),
        o_proj(b, "o_proj", b.dims.heads * b.dims.head_dim, b.dims.hidden, b.description.output_bias) {
    if (!b.description.qk_norm) return;
    norms.emplace_back(b, "q_norm", b.dims.head_dim);
    norms.emplace_back(b, "k_norm", b.dims.head_dim);
  }

  Tensor heads(const Linear& projection, const Tensor& hidden_states, Expr count, size_t norm) const {
    Tensor split = split_dim(projection(hidden_states), 2, count, b.dims.head_dim);
    if (norm < norms.size()) split = norms[norm](split);
    return transpose(std::move(split), 1, 2);
  }

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = heads(q_proj, hidden_states, d.heads, 0);
    Tensor key = heads(k_proj, hidden_states, d.kv_heads, 1);
    const Tensor value = heads(v_proj, hidden_states, d.kv_heads, norms.size());
    apply_rotary(query, key, rotation);
    const Expr groups = b.structure.grouped ? exact_div(d.heads, d.kv_heads) : Expr(1);
    AttentionOutput attention = attend(query, key, value, {b, groups, mask, true, SoftmaxDtype::kFullPrecision, true});
    attention.output = from_heads(attention.output);
    attention.output = o_proj(attention.output);
    return attention;
  }

  void apply_rotary(Tensor& query, Tensor& key, const Rotation& rotation) const {
    const Scope scope(b.tape, "rotary");
    if (b.structure.kernels.rope == Kernel::kFused) {
      auto [query_rotated, key_rotated] = liger_rope(query, key, rotation.cos, rotation.sin);
      query = std::move(query_rotated);
      key = std::move(key_rotated);
      return;
    }
    const Tensor cos = unsqueeze(rotation.cos, 1);
    const Tensor sin = unsqueeze(rotation.sin, 1);
    Tensor query_rotated = rotate(query, cos, sin);
    Tensor key_rotated = rotate(key, cos, sin);
    query = std::move(query_rotated);
    key = std::move(key_rotated);
  }
};

/// LlamaMLP.
struct Mlp {
  const Builder& b;
  Linear gate_proj, up_proj, down_proj;

  explicit Mlp(const Builder& builder)
      : b(builder),
        gate_proj(b, "gate_proj", b.dims.hidden, b.dims.ffn, b.description.mlp_bias),
        up_proj(b, "up_proj", b.dims.hidden, b.dims.ffn, b.description.mlp_bias),
        down_proj(b, "down_proj", b.dims.ffn, b.dims.hidden, b.description.mlp_bias) {}

  Tensor operator()(const Tensor& x) const {
    const Scope scope(b.tape, "mlp");
    if (b.structure.kernels.mlp == Kernel::kFused) {
      Tensor gate = gate_proj(x);
      const Tensor product = liger_gated(b.description.activation == Activation::kSilu, std::move(gate), up_proj(x));
      return down_proj(product);
    }
    Tensor gated = activate(b.description.activation, gate_proj(x));
    Tensor up = up_proj(x);
    Tensor product = mul(std::move(gated), std::move(up));
    return down_proj(product);
  }
};

using FeedForward = std::variant<Mlp, SparseMoe>;

FeedForward feed_forward(const Builder& b) {
  if (b.description.experts > 0) return named<SparseMoe>(b, "mlp");
  return named<Mlp>(b, "mlp");
}

/// LlamaDecoderLayer, and Gemma2DecoderLayer with a norm behind attention and MLP as well.
struct DecoderLayer {
  SelfAttention self_attn;
  FeedForward mlp;
  RmsNorm input_layernorm;
  RmsNorm post_attention_layernorm;
  std::vector<RmsNorm> feedforward_norms;  // pre_feedforward_layernorm and post_feedforward_layernorm, or none
  bool windowed;

  DecoderLayer(const Builder& b, bool is_windowed)
      : self_attn(named<SelfAttention>(b, "self_attn")),
        mlp(feed_forward(b)),
        input_layernorm(b, "input_layernorm", b.dims.hidden),
        post_attention_layernorm(b, "post_attention_layernorm", b.dims.hidden),
        windowed(is_windowed) {
    if (!b.description.norms_outputs) return;
    feedforward_norms.emplace_back(b, "pre_feedforward_layernorm", b.dims.hidden);
    feedforward_norms.emplace_back(b, "post_feedforward_layernorm", b.dims.hidden);
  }

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    Tensor residual = input;
    Tensor hidden_states = input_layernorm(input);
    AttentionOutput attention = self_attn(hidden_states, rotation, mask);
    hidden_states = std::move(attention.output);
    const bool norms_outputs = !feedforward_norms.empty();
    if (norms_outputs) hidden_states = post_attention_layernorm(hidden_states);
    hidden_states = add(residual, hidden_states);
    residual = hidden_states;
    hidden_states = (norms_outputs ? feedforward_norms[0] : post_attention_layernorm)(hidden_states);
    hidden_states = std::visit([&](const auto& block) { return block(hidden_states); }, mlp);
    if (norms_outputs) hidden_states = feedforward_norms[1](hidden_states);
    hidden_states = add(residual, hidden_states);
    return hidden_states;
  }
};

/// LlamaModel.
struct Decoder {
  const Builder& b;
  Embedding embed_tokens;
  Tensor embed_scale;  // of Gemma; empty elsewhere
  Layers<DecoderLayer> layers;
  RmsNorm norm;
  Tensor inv_freq;
  Tensor original_inv_freq;

  explicit Decoder(const Builder& builder)
      : b(builder),
        embed_tokens(b, "embed_tokens", b.dims.vocab, b.dims.hidden),
        embed_scale(make_scale(b)),
        layers(b, b.description.runs, b.dims.runs,
               [this](bool windowed) { return named<DecoderLayer>(b, "layers.*", windowed); }),
        norm(b, "norm", b.dims.hidden) {
    const Scope scope(b.tape, "rotary_emb");
    const Shape half = {exact_div(b.dims.head_dim, 2)};
    inv_freq = b.tape.buffer(half, DType::kFloat32, "inv_freq");
    if (b.structure.transformers == Transformers::k5_23)
      original_inv_freq = b.tape.buffer(half, DType::kFloat32, "original_inv_freq");
  }

  static Tensor make_scale(const Builder& b) {
    const Scope scope(b.tape, "embed_tokens");
    return b.description.scales_embedding ? b.tape.buffer({}, b.structure.weights, "embed_scale") : Tensor();
  }

  Tensor embed(const Tensor& input_ids) const {
    Tensor output = embed_tokens(input_ids);
    if (embed_scale) output = mul(std::move(output), embed_scale);
    return inputs_embeds(b, std::move(output));
  }

  Rotation rotary_emb(const Tensor& x, const Tensor& position_ids) const {
    const Scope scope(b.tape, "rotary_emb");
    const NoGrad no_grad(b.tape);
    const Dims& d = b.dims;
    Tape& tape = b.tape;
    if (b.structure.transformers == Transformers::k4_48) return rotary_emb_4_48(x, position_ids);
    Tensor positions = tape.make({1, d.seq, 1}, DType::kFloat32, "_to_copy");
    const Tensor freqs = tape.make({1, d.seq, exact_div(d.head_dim, 2)}, DType::kFloat32, "mul");
    positions.reset();
    const Tensor emb = tape.make({1, d.seq, d.head_dim}, DType::kFloat32, "cat");
    const Tensor cos = mul_scalar(tape.make(emb.shape(), DType::kFloat32, "cos"));
    const Tensor sin = mul_scalar(tape.make(emb.shape(), DType::kFloat32, "sin"));
    const Tensor cos_cast = to(cos, x.dtype());
    return {position_ids, cos_cast, to(sin, x.dtype())};
  }

  /// The frequencies are a matrix product there, and all names live to the end.
  Rotation rotary_emb_4_48(const Tensor& x, const Tensor& position_ids) const {
    const Dims& d = b.dims;
    Tape& tape = b.tape;
    const Tensor positions = tape.make({1, 1, d.seq}, DType::kFloat32, "_to_copy");
    const Tensor freqs = tape.make({1, exact_div(d.head_dim, 2), d.seq}, DType::kFloat32, "bmm");
    const Tensor emb = tape.make({1, d.seq, d.head_dim}, DType::kFloat32, "cat");
    Tensor cos = tape.make(emb.shape(), DType::kFloat32, "cos");
    Tensor sin = tape.make(emb.shape(), DType::kFloat32, "sin");
    cos = mul_scalar(cos);
    sin = mul_scalar(sin);
    const Tensor cos_cast = to(cos, x.dtype());
    return {position_ids, cos_cast, to(sin, x.dtype())};
  }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "model");
    const Tensor inputs_embeds = embed(input_ids);
    const Tensor positions = position_ids(b);
    const auto [full, windowed] = masks(inputs_embeds.dtype());
    Tensor hidden_states = inputs_embeds;
    const Rotation rotation = rotary_emb(hidden_states, positions);
    layers.run([&](const DecoderLayer& layer) {
      const Scope named_layer(b.tape, "layers.*");
      const Tensor& mask = layer.windowed ? windowed : full;
      hidden_states = checkpoint(
          b.structure.checkpointing,
          [&layer, rotation, mask](const Tensor& input, const Tensor&) { return layer(input, rotation, mask); },
          hidden_states);
    });
    hidden_states = norm(hidden_states);
    return hidden_states;
  }

  // A model makes a mask for each kind of layer it has; the mapping of Qwen makes the full one in any case, that of
  // Gemma 2 both.
  std::array<Tensor, 2> masks(DType dtype) const {
    bool has_windowed = b.description.maps_windowed_masks;
    bool has_full = b.description.maps_masks;
    for (const LayerRun& run : b.description.runs) (run.windowed ? has_windowed : has_full) = true;
    Tensor full = has_full ? causal_mask(b, false, dtype) : Tensor();
    return {full, has_windowed ? causal_mask(b, true, dtype) : Tensor()};
  }
};

/// LlamaForCausalLM.
class CausalLm : public Model {
 public:
  explicit CausalLm(const Builder& b) : b_(b), model_(named<Decoder>(b_, "model")), lm_head_(head(b_, model_)) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = model_(batch.input_ids);
    if (b_.structure.kernels.loss != LossKernel::kHf)
      return {fused_lm_loss(b_, hidden_states, lm_head_.weight(), batch.labels), Tensor()};
    Tensor logits = lm_head_(hidden_states);
    if (b_.description.caps_logits) {
      logits = div_scalar(logits);
      logits = tanh(logits);
      logits = mul_scalar(logits);
    }
    return {causal_lm_loss(b_, logits, batch.labels), logits};
  }

 private:
  static Linear head(const Builder& b, const Decoder& model) {
    return b.description.tied ? Linear("lm_head", model.embed_tokens.weight(), Tensor())
                              : Linear(b, "lm_head", b.dims.hidden, b.dims.vocab, false);
  }

  Builder b_;
  Decoder model_;
  Linear lm_head_;
};

/// LlamaForSequenceClassification.
class Classifier : public Model {
 public:
  explicit Classifier(const Builder& b)
      : b_(b), model_(named<Decoder>(b_, "model")), score_(b_, "score", b.dims.hidden, b.dims.labels, false) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = model_(batch.input_ids);
    const Tensor logits = score_(hidden_states);
    return {last_token_loss(b_, logits, batch.input_ids, batch.labels), logits};
  }

 private:
  Builder b_;
  Decoder model_;
  Linear score_;
};

/// The kinds of rotary embedding whose forward runs the same ops; `dynamic` and `longrope` read positions at run time.
void read_rotary_parameters(Fields& fields) {
  static constexpr std::array<std::string_view, 4> kKnown = {"default", "linear", "llama3", "yarn"};
  fields.ignore({"rope_theta", "partial_rotary_factor"});
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    if (!fields.has(name)) continue;
    const Value* parameters = fields.find(name);
    if (parameters->kind != Value::Kind::kObject) return fields.fail(name, "must be an object");
    const Value* type = parameters->find("rope_type");
    if (type == nullptr) type = parameters->find("type");
    if (type == nullptr) continue;
    bool known = false;
    for (const std::string_view kind : kKnown) known = known || type->string == kind;
    if (!known)
      fields.fail(name, "rotary embedding \"" + type->string.substr(0, 40) + "\" is not modelled",
                  "known: default, linear, llama3, yarn");
  }
}

Description read(Fields& fields) {
  Description d = read_rotary_decoder(fields, 32000, 4096, 11008, 2048);
  d.kv_heads = fields.optional_size("num_key_value_heads").value_or(d.heads);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.mlp_bias = fields.flag("mlp_bias", false);
  fields.ignore({"pretraining_tp", "rope_interleaved", "is_llama_config"});  // not read by the model
  if (d.hidden % d.heads != 0)  // transformers checks it even where head_dim is given
    fields.fail("num_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  return d;
}

}  // namespace

std::span<const Task> rotary_decoder_tasks() {
  static constexpr std::array kTasks = {Task::kCausalLm, Task::kSequenceClassification};
  return kTasks;
}

std::unique_ptr<Model> build_rotary_decoder(const Builder& b) {
  if (b.description.task == Task::kSequenceClassification) return std::make_unique<Classifier>(b);
  return std::make_unique<CausalLm>(b);
}

Description read_rotary_decoder(Fields& fields, int64_t vocab, int64_t hidden, int64_t ffn, int64_t positions) {
  Description d;
  d.vocab = fields.size("vocab_size", vocab);
  d.hidden = fields.size("hidden_size", hidden);
  d.ffn = fields.size("intermediate_size", ffn);
  d.layers = fields.size("num_hidden_layers", 32);
  d.heads = fields.size("num_attention_heads", 32);
  d.positions = fields.size("max_position_embeddings", positions);
  const auto head_dim = fields.optional_size("head_dim");
  d.head_dim = head_dim.value_or(d.hidden / d.heads);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.activation = read_activation(fields, "hidden_act", "silu");
  d.attention_dropout = fields.probability("attention_dropout", 0.0);
  d.tied = fields.flag("tie_word_embeddings", false);
  read_rotary_parameters(fields);
  if (d.head_dim % 2 != 0)
    fields.fail("head_dim", "is " + std::to_string(d.head_dim) + ", the rotary embedding needs an even one");
  return d;
}

const Family kLlama = {"llama",
                       "LLaMA",
                       "transformers 5.23, models/llama",
                       Task::kCausalLm,
                       rotary_decoder_tasks(),
                       read,
                       build_rotary_decoder};

}  // namespace peakmem
