// OPT: learned positions counted from a mask, LayerNorms before attention and MLP or behind them, and perhaps
// embeddings narrower than the layers (transformers 5.23, models/opt/modeling_opt.py).
#include <optional>

#include "family/family.h"
#include "model/cache.h"
#include "model/masks.h"
#include "model/task_heads.h"

namespace peakmem {
namespace {

/// OPTAttention.
struct OptAttention {
  const Builder& b;
  Linear k_proj, v_proj, q_proj, out_proj;

  explicit OptAttention(const Builder& builder)
      : b(builder),
        k_proj(b, "k_proj", b.dims.hidden, b.dims.hidden, b.description.qkv_bias),
        v_proj(b, "v_proj", b.dims.hidden, b.dims.hidden, b.description.qkv_bias),
        q_proj(b, "q_proj", b.dims.hidden, b.dims.hidden, b.description.qkv_bias),
        out_proj(b, "out_proj", b.dims.hidden, b.dims.hidden, b.description.qkv_bias) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    const Tensor query = as_heads(mul_scalar(q_proj(hidden_states)), d.heads, d.head_dim);
    Tensor key = k_proj(hidden_states);
    Tensor value = v_proj(hidden_states);
    key = as_heads(key, d.heads, d.head_dim);
    value = as_heads(value, d.heads, d.head_dim);
    update_cache(b, key, value);
    AttentionOutput attention = attend(query, key, value, {b, Expr(1), mask, true, SoftmaxDtype::kFullPrecision, true});
    attention.output = from_heads(attention.output);
    attention.output = out_proj(attention.output);
    return attention;
  }
};

/// OPTDecoderLayer.
struct OptLayer {
  const Builder& b;
  OptAttention self_attn;
  LayerNorm self_attn_layer_norm;
  Linear fc1, fc2;
  LayerNorm final_layer_norm;

  explicit OptLayer(const Builder& builder)
      : b(builder),
        self_attn(named<OptAttention>(b, "self_attn")),
        self_attn_layer_norm(b, "self_attn_layer_norm", b.dims.hidden),
        fc1(b, "fc1", b.dims.hidden, b.dims.ffn, b.description.mlp_bias),
        fc2(b, "fc2", b.dims.ffn, b.dims.hidden, b.description.mlp_bias),
        final_layer_norm(b, "final_layer_norm", b.dims.hidden) {}

  Tensor operator()(const Tensor& input, const Tensor& mask) const {
    const bool norms_first = !b.description.norms_after;
    const double dropped = b.description.hidden_dropout;
    Tensor residual = input;
    Tensor hidden_states = input;
    if (norms_first) hidden_states = self_attn_layer_norm(hidden_states);
    AttentionOutput attention = self_attn(hidden_states, mask);
    hidden_states = std::move(attention.output);
    hidden_states = dropout(hidden_states, dropped);
    hidden_states = add(residual, hidden_states);
    if (!norms_first) hidden_states = self_attn_layer_norm(hidden_states);
    hidden_states = merge_dims(hidden_states, 0, 2);
    residual = hidden_states;
    if (norms_first) hidden_states = final_layer_norm(hidden_states);
    hidden_states = fc1(hidden_states);
    hidden_states = activate(b.description.activation, hidden_states);
    hidden_states = fc2(hidden_states);
    hidden_states = dropout(hidden_states, dropped);
    hidden_states = split_dim(add(residual, hidden_states), 0, b.dims.batch, b.dims.seq);
    if (!norms_first) hidden_states = final_layer_norm(hidden_states);
    return hidden_states;
  }
};

/// A position for each token that the mask does not hide, and the mask: one is made where none is given.
struct CountedPositions {
  Tensor mask;
  Tensor ids;

  explicit CountedPositions(const Builder& b) {
    Tape& tape = b.tape;
    const Shape tokens = {b.dims.batch, b.dims.seq};
    const DType dtype = b.structure.padding_mask ? DType::kInt64 : DType::kFloat32;
    if (!b.structure.padding_mask) mask = tape.make(tokens, dtype, "ones");
    const Tensor counted = tape.make(tokens, DType::kFloat32 == dtype ? dtype : DType::kInt64, "cumsum");
    Tensor product = tape.make(tokens, dtype, "mul");
    const Tensor less = tape.make(tokens, dtype, "sub");
    product.reset();
    ids = dtype == DType::kInt64 ? less : tape.make(tokens, DType::kInt64, "_to_copy");
  }
};

/// OPTDecoder.
class OptDecoder {
 public:
  explicit OptDecoder(const Builder& builder) : OptDecoder(builder, narrow(builder)) {}

  const Tensor& embedding_weight() const { return embed_tokens_.weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, "decoder");
    Tensor inputs_embeds = peakmem::inputs_embeds(b_, embed_tokens_(input_ids));
    const CountedPositions positions(b_);
    const Tensor mask = causal_mask(b_, false, inputs_embeds.dtype(), false);
    const Tensor pos_embeds = embed(positions.ids);
    if (project_in_) inputs_embeds = (*project_in_)(inputs_embeds);
    Tensor hidden_states = add(inputs_embeds, pos_embeds);
    layers_.run([&](const OptLayer& layer) {
      const Scope inner(b_.tape, "layers.*");
      hidden_states = checkpoint(
          b_.structure.checkpointing,
          [&layer, held = positions.ids](const Tensor& input, const Tensor& seen) { return layer(input, seen); },
          hidden_states, mask);
    });
    if (final_layer_norm_) hidden_states = (*final_layer_norm_)(hidden_states);
    if (project_out_) hidden_states = (*project_out_)(hidden_states);
    return hidden_states;
  }

 private:
  static bool narrow(const Builder& b) { return b.description.embedding != b.description.hidden; }

  OptDecoder(const Builder& builder, bool narrow)
      : b_(builder),
        embed_tokens_(b_, "embed_tokens", b_.dims.vocab, b_.dims.embedding),
        embed_positions_(b_, "embed_positions", b_.dims.positions, b_.dims.hidden),
        project_out_(
            narrow ? std::optional<Linear>(std::in_place, b_, "project_out", b_.dims.hidden, b_.dims.embedding, false)
                   : std::nullopt),
        project_in_(
            narrow ? std::optional<Linear>(std::in_place, b_, "project_in", b_.dims.embedding, b_.dims.hidden, false)
                   : std::nullopt),
        final_layer_norm_(b_.description.norms_after
                              ? std::nullopt
                              : std::optional<LayerNorm>(std::in_place, b_, "final_layer_norm", b_.dims.hidden)),
        layers_(b_, b_.description.runs, b_.dims.runs, [this](bool) { return named<OptLayer>(b_, "layers.*"); }) {}

  /// OPTLearnedPositionalEmbedding: the first two rows are no position's.
  Tensor embed(const Tensor& position_ids) const {
    return embed_positions_(b_.tape.make(position_ids.shape(), DType::kInt64, "add"));
  }

  const Builder& b_;
  Embedding embed_tokens_, embed_positions_;
  std::optional<Linear> project_out_, project_in_;
  std::optional<LayerNorm> final_layer_norm_;
  Layers<OptLayer> layers_;
};

/// OPTModel.
struct OptModel {
  const Builder& b;
  OptDecoder decoder;

  explicit OptModel(const Builder& builder) : b(builder), decoder(named<OptDecoder>(b, "decoder")) {}
  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "model");
    return decoder(input_ids);
  }
};

/// OPTForCausalLM.
class OptLm : public Model {
 public:
  explicit OptLm(const Builder& b) : b_(b), model_(named<OptModel>(b_, "model")), lm_head_(head(b_, model_)) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = model_(batch.input_ids);
    if (makes_no_logits(b_.structure.kernels.loss)) return fused_lm_loss(b_, hidden_states, lm_head_.weight(), batch);
    const Tensor logits = lm_head_(hidden_states);
    if (b_.structure.kernels.loss == LossKernel::kPlain) return {Tensor(), logits, {}, take_cache(b_)};
    Tensor loss = causal_lm_loss(b_, logits, batch);
    return {std::move(loss), logits, {}, take_cache(b_)};
  }

 private:
  static Linear head(const Builder& b, const OptModel& model) {
    return b.description.tied ? Linear(b, "lm_head", model.decoder.embedding_weight())
                              : Linear(b, "lm_head", b.dims.embedding, b.dims.vocab, false);
  }

  Builder b_;
  OptModel model_;
  Linear lm_head_;
};

/// OPTForSequenceClassification.
class OptClassifier : public Model {
 public:
  explicit OptClassifier(const Builder& b)
      : b_(b), model_(named<OptModel>(b_, "model")), score_(b_, "score", b.dims.embedding, b.dims.labels, false) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = model_(batch.input_ids);
    const Tensor logits = score_(hidden_states);
    return last_token_output(b_, logits, batch.input_ids, batch.labels);
  }

 private:
  Builder b_;
  OptModel model_;
  Linear score_;
};

std::unique_ptr<Model> build(const Builder& b) {
  HeadStyle style = {"classifier"};
  style.over_embeddings = true;
  if (has_common_head(b.description.task))
    return build_common_head(b, style, [](const Builder& own) { return body_call<OptModel>(own, "model"); });
  if (b.description.task == Task::kSequenceClassification) return std::make_unique<OptClassifier>(b);
  return std::make_unique<OptLm>(b);
}

Description read(Fields& fields) {
  Description d;
  d.vocab = fields.size("vocab_size", 50272);
  d.hidden = fields.size("hidden_size", 768);
  d.layers = fields.size("num_hidden_layers", 12);
  d.ffn = fields.size("ffn_dim", 3072);
  d.ffn_is_four_hidden = d.ffn == 4 * d.hidden;
  d.heads = d.kv_heads = fields.size("num_attention_heads", 12);
  d.embedding = fields.optional_size("word_embed_proj_dim").value_or(d.hidden);
  d.reserved_positions = 2;
  d.positions = fields.size("max_position_embeddings", 2048) + d.reserved_positions;
  d.learned_positions = d.has_padding_token = true;
  d.norms_after = !fields.flag("do_layer_norm_before", true);
  d.activation = read_activation(fields, "activation_function", "relu");
  d.hidden_dropout = fields.probability("dropout", 0.1);
  d.attention_dropout = fields.probability("attention_dropout", 0.0);
  d.qkv_bias = d.mlp_bias = fields.flag("enable_bias", true);
  d.tied = fields.flag("tie_word_embeddings", true);
  fields.refuse_flag("layer_norm_elementwise_affine", true, "leaves the norms without weights");
  fields.refuse_flag("_remove_final_layer_norm", false, "leaves the last norm out");
  if (fields.has("layerdrop") && fields.find("layerdrop")->real != 0)
    fields.fail("layerdrop", "is not modelled: which layers run is drawn in every step", "set it to 0");
  fields.ignore({"init_std", "activation_dropout"});
  if (d.hidden % d.heads != 0)
    fields.fail("num_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  d.head_dim = d.hidden / d.heads;
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kFeatureExtraction, Task::kSequenceClassification,
                               Task::kQuestionAnswering};
constexpr SizeNames kSizes = {"num_hidden_layers", "num_attention_heads", "hidden_size", "ffn_dim"};

}  // namespace

const Family kOpt = {"opt", "OPT", "transformers 5.23, models/opt", Task::kCausalLm, kTasks, read, build, &kSizes};

}  // namespace peakmem
