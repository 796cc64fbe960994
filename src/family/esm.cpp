// ESM: BERT with its norms before attention and MLP, and positions that are learned or turned (transformers 5.23,
// models/esm/modeling_esm.py).
#include "family/bert.h"
#include "model/rotary.h"
#include "trace/masked_fill.h"

namespace peakmem {
namespace {

/// EsmEmbeddings.
struct EsmEmbeddings {
  const Builder& b;
  Embedding words;
  std::optional<LayerNorm> norm;
  std::optional<Embedding> positions;
  Tensor position_ids;

  explicit EsmEmbeddings(const Builder& builder)
      : b(builder), words(named<Embedding>(b, kName, "word_embeddings", b.dims.vocab, b.dims.hidden)) {
    const Scope scope(b.tape, kName);
    if (b.description.norms_embeddings) norm.emplace(b, "layer_norm", b.dims.hidden);
    position_ids = b.tape.buffer({1, b.dims.positions}, DType::kInt64, "position_ids");
    if (b.description.learned_positions) positions.emplace(b, "position_embeddings", b.dims.positions, b.dims.hidden);
  }

  const Tensor& word_weight() const { return words.weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, kName);
    const Tensor positions_of_tokens = positions_after_padding(input_ids, false);
    const Tensor inputs_embeds = peakmem::inputs_embeds(b, words(input_ids));
    Tensor embeddings = inputs_embeds;
    Observed observed;
    if (b.description.masks_embeddings) embeddings = mask(embeddings, observed);
    Tensor position_embeddings;
    if (positions) {
      position_embeddings = (*positions)(positions_of_tokens);
      embeddings = add(embeddings, position_embeddings);
    }
    if (norm) embeddings = (*norm)(embeddings);
    if (b.structure.padding_mask) embeddings = hide_padding(embeddings);
    return embeddings;
  }

 private:
  static constexpr const char* kName = "embeddings";

  /// Names that live as long as the call.
  struct Observed {
    Tensor source_lengths, mask_ratio;
  };

  /// token_dropout: zeros for masked tokens, and all scaled by how many there are.
  Tensor mask(Tensor& embeddings, Observed& observed) const {
    Tape& tape = b.tape;
    const Shape tokens = {b.dims.batch, b.dims.seq};
    const Shape rows = {b.dims.batch};
    {
      const Tensor masked = tape.make(tokens, DType::kBool, "eq");
      embeddings = masked_fill(embeddings, unsqueeze(masked, 2));
    }
    if (b.structure.padding_mask) observed.source_lengths = tape.make(rows, DType::kInt64, "sum");
    Tensor masked = tape.make(tokens, DType::kBool, "eq");
    Tensor count = tape.make(rows, DType::kInt64, "sum");
    masked.reset();
    Tensor ratio = tape.make(rows, DType::kFloat32, "_to_copy");
    count.reset();
    observed.mask_ratio = tape.make(rows, DType::kFloat32, "div");
    ratio.reset();
    Tensor scaled = mul_scalar(embeddings);
    const Tensor rest = tape.make(rows, DType::kFloat32, "rsub");
    scaled = div(std::move(scaled), unsqueeze(unsqueeze(rest, 1), 2));
    return to(std::move(scaled), embeddings.dtype());
  }

  /// A product with the batch's own mask, which is there anyway.
  static Tensor hide_padding(const Tensor& embeddings) { return mul_scalar(embeddings); }
};

/// EsmContactPredictionHead, which no training uses.
Linear contact_head_of(const Builder& b) {
  Expr layers = b.dims.runs[0];
  for (size_t i = 1; i < b.dims.runs.size(); ++i) layers = layers + b.dims.runs[i];
  return named<Linear>(b, "contact_head", "regression", layers * b.dims.heads, Expr(1), true);
}

/// The rotary embedding, where there is one, and the norm behind the last layer.
struct EsmAround {
  const Builder& b;
  LayerNorm emb_layer_norm_after;
  std::optional<RotaryEmbedding> rotary_embeddings;
  std::optional<Linear> contact_head;

  explicit EsmAround(const Builder& builder)
      : b(builder), emb_layer_norm_after(named<LayerNorm>(b, "encoder", "emb_layer_norm_after", b.dims.hidden)) {
    if (!b.description.learned_positions) rotary_embeddings.emplace(b, "rotary_embeddings", false);
    if (b.description.task != Task::kFeatureExtraction) contact_head.emplace(contact_head_of(b));
  }

  EncoderContext before(Tensor& hidden_states) const {
    if (!rotary_embeddings) return {};
    const Tensor position_ids = unsqueeze(b.tape.make({b.dims.seq}, DType::kInt64, "arange"), 0);
    const Rotation rotation = (*rotary_embeddings)(hidden_states, position_ids);
    return {{}, rotation.cos, rotation.sin, position_ids};
  }

  Tensor after(const Tensor& hidden_states) const {
    const Scope scope(b.tape, "encoder");
    return emb_layer_norm_after(hidden_states);
  }
};

/// EsmSelfAttention.
struct EsmSelfAttention {
  const Builder& b;
  Linear query, key, value;

  explicit EsmSelfAttention(const Builder& builder)
      : b(builder), query(projection("query")), key(projection("key")), value(projection("value")) {}

  Linear projection(const char* name) const { return {b, name, b.dims.hidden, b.dims.hidden, true}; }
  Tensor heads(const Linear& projection, const Tensor& hidden_states) const {
    return as_heads(projection(hidden_states), b.dims.heads, b.dims.head_dim);
  }

  AttentionOutput operator()(const Tensor& hidden_states, const EncoderContext& context) const {
    const Scope scope(b.tape, "self");
    Tensor query_layer = heads(query, hidden_states);
    Tensor key_layer = heads(key, hidden_states);
    const Tensor value_layer = heads(value, hidden_states);
    query_layer = mul_scalar(query_layer);
    if (context.cos) apply_rotary_upcast(b, query_layer, key_layer, context.cos, context.sin);
    AttentionOutput attention =
        attend(query_layer, key_layer, value_layer, {b, 1, Tensor(), false, SoftmaxDtype::kAsItComes});
    attention.output = from_heads(std::move(attention.output));
    return attention;
  }
};

/// EsmSelfOutput and EsmOutput: they differ in the width that comes in.
struct EsmOutput {
  const Builder& b;
  Linear dense;

  EsmOutput(const Builder& builder, Expr in) : b(builder), dense(b, "dense", in, b.dims.hidden, true) {}

  Tensor operator()(const Tensor& input, const Tensor& input_tensor) const {
    const Scope scope(b.tape, "output");
    Tensor hidden_states = dense(input);
    hidden_states = dropout(hidden_states, b.description.hidden_dropout);
    hidden_states = add(hidden_states, input_tensor);
    return hidden_states;
  }
};

/// EsmAttention.
struct EsmAttention {
  const Builder& b;
  EsmSelfAttention self;
  EsmOutput output;
  LayerNorm layer_norm;

  explicit EsmAttention(const Builder& builder)
      : b(builder),
        self(named<EsmSelfAttention>(b, "self")),
        output(named<EsmOutput>(b, "output", b.dims.hidden)),
        layer_norm(b, "LayerNorm", b.dims.hidden) {}

  Tensor operator()(const Tensor& hidden_states, const EncoderContext& context) const {
    const Scope scope(b.tape, "attention");
    const Tensor hidden_states_ln = layer_norm(hidden_states);
    Tensor attn_output = self(hidden_states_ln, context).output;
    attn_output = output(attn_output, hidden_states);
    return attn_output;
  }
};

/// EsmLayer.
struct EsmLayer {
  const Builder& b;
  EsmAttention attention;
  Linear dense;
  EsmOutput output;
  LayerNorm layer_norm;

  explicit EsmLayer(const Builder& builder)
      : b(builder),
        attention(named<EsmAttention>(b, "attention")),
        dense(named<Linear>(b, "intermediate", "dense", b.dims.hidden, b.dims.ffn, true)),
        output(named<EsmOutput>(b, "output", b.dims.ffn)),
        layer_norm(b, "LayerNorm", b.dims.hidden) {}

  Tensor intermediate(const Tensor& input) const {
    const Scope scope(b.tape, "intermediate");
    Tensor hidden_states = dense(input);
    hidden_states = activate(Activation::kGeluErf, hidden_states);
    return hidden_states;
  }

  Tensor operator()(const Tensor& hidden_states, const EncoderContext& context) const {
    const Tensor attention_output = attention(hidden_states, context);
    const Tensor attention_output_ln = layer_norm(attention_output);
    const Tensor intermediate_output = intermediate(attention_output_ln);
    return output(intermediate_output, attention_output);
  }
};

/// EsmClassificationHead.
struct EsmClassifier : ClassificationHead {
  explicit EsmClassifier(const Builder& b) : ClassificationHead(b, Activation::kTanh) {}
};

/// Of the bare model, whose contact head comes behind it.
struct EsmPooler : BertPooler {
  Linear contact_head;
  explicit EsmPooler(const Builder& b) : BertPooler(b, "esm.pooler"), contact_head(contact_head_of(b)) {}
};

struct EsmParts : UsualEncoderParts {
  using Embeddings = EsmEmbeddings;
  using Around = EsmAround;
  using Layer = EsmLayer;
  using Classifier = EsmClassifier;
  using Chooser = EsmClassifier;
  using Pooler = EsmPooler;
  static constexpr bool kPoolsClasses = false;
  static constexpr bool kPoolsChoices = false;
  static constexpr const char* kModel = "esm";

  /// EsmLMHead.
  static PredictionHead prediction_head(const Builder& b, const Tensor& word_weight) {
    constexpr const char* kName = "lm_head";
    const Scope scope(b.tape, kName);
    const Tensor bias = b.parameter({b.dims.vocab}, "bias");
    Linear dense(b, "dense", b.dims.hidden, b.dims.hidden, true);
    LayerNorm norm(b, "layer_norm", b.dims.hidden);
    return {kName, dense, norm, decoder_without_bias(b, word_weight), Activation::kGeluErf, bias};
  }

  static Linear decoder_without_bias(const Builder& b, const Tensor& word_weight) {
    constexpr const char* kDecoder = "decoder";
    if (b.description.tied) return {b, kDecoder, word_weight};
    return {b, kDecoder, b.dims.hidden, b.dims.vocab, false};
  }
};

constexpr auto kTasks = std::to_array(
    {Task::kMaskedLm, Task::kSequenceClassification, Task::kTokenClassification, Task::kFeatureExtraction});

Description read(Fields& fields) {
  const std::string kind = fields.text("position_embedding_type", "absolute");
  Description d = read_bert(fields, {33, 768, 12, 3072, true, false});
  if (!fields.has("vocab_size")) fields.fail("vocab_size", "is missing, and ESM has no default", "ESM-2's is 33");
  d.positions = fields.size("max_position_embeddings", 1026);
  d.learned_positions = kind == "absolute";
  if (kind != "absolute" && kind != "rotary")
    fields.fail("position_embedding_type", "must be \"absolute\" or \"rotary\"");
  const Value* padding = fields.find("pad_token_id");
  if (padding == nullptr || padding->is_null())
    fields.fail("pad_token_id", "is missing, from which ESM counts positions", "ESM-2's is 1");
  d.reserved_positions = d.learned_positions && padding != nullptr ? padding->integer + 1 : 0;
  d.norms_embeddings = fields.has("emb_layer_norm_before") && fields.flag("emb_layer_norm_before", false);
  d.masks_embeddings = fields.flag("token_dropout", false);
  d.classifier_dropout = d.token_dropout = d.hidden_dropout;
  fields.refuse_flag("is_folding_model", false, "makes ESMFold of it");
  fields.ignore({"mask_token_id", "esmfold_config", "vocab_list", "rope_theta", "hidden_act"});
  return d;
}

}  // namespace

const Family kEsm = {"esm",  "ESM-2", "transformers 5.23, models/esm", Task::kMaskedLm,
                     kTasks, read,    build_encoder<EsmParts>};

}  // namespace peakmem
