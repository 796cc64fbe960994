// BERT (transformers 5.23, models/bert/modeling_bert.py).
#include "family/bert.h"

#include <utility>

namespace peakmem {
namespace {

EmbeddingTables make_tables(const Builder& b, Expr width) {
  const Scope scope(b.tape, "embeddings");
  Embedding words(b, "word_embeddings", b.dims.vocab, width);
  Embedding positions(b, "position_embeddings", b.dims.positions, width);
  Embedding types(b, "token_type_embeddings", b.dims.token_types, width);
  LayerNorm norm(b, "LayerNorm", width);
  return {std::move(words), std::move(positions), std::move(types), std::move(norm), position_buffers(b)};
}

}  // namespace

PositionBuffers position_buffers(const Builder& b) {
  const Tensor position_ids = b.tape.buffer({1, b.dims.positions}, DType::kInt64, "position_ids");
  return {position_ids, b.tape.buffer({1, b.dims.positions}, DType::kInt64, "token_type_ids")};
}

BertEmbeddings::BertEmbeddings(const Builder& builder, Expr width)
    : BertEmbeddings(builder, make_tables(builder, width)) {}

Tensor BertEmbeddings::operator()(const Tensor& input_ids) const {
  const Scope scope(b.tape, "embeddings");
  const Tensor positions = slice(tables.buffers.position_ids, 1, b.dims.seq);
  const Tensor gathered = b.tape.make({1, b.dims.seq}, DType::kInt64, "gather");
  const Tensor types = expand(gathered, {b.dims.batch, b.dims.seq});
  return sum(input_ids, positions, types);
}

Tensor BertEmbeddings::sum(const Tensor& input_ids, const Tensor& positions, const Tensor& types) const {
  const Tensor inputs_embeds = peakmem::inputs_embeds(b, tables.words(input_ids));
  const Tensor type_embeds = tables.types(types);
  Tensor embeddings = add(inputs_embeds, type_embeds);
  const Tensor position_embeds = tables.positions(positions);
  embeddings = add(embeddings, position_embeds);
  embeddings = tables.norm(embeddings);
  embeddings = dropout(embeddings, b.description.hidden_dropout);
  return embeddings;
}

BertOutput::BertOutput(const Builder& builder, Expr in)
    : b(builder), dense(b, "dense", in, b.dims.hidden, true), layer_norm(b, "LayerNorm", b.dims.hidden) {}

Tensor BertOutput::operator()(const Tensor& input, const Tensor& input_tensor) const {
  Tensor hidden_states = dense(input);
  hidden_states = dropout(hidden_states, b.description.hidden_dropout);
  hidden_states = layer_norm(add(hidden_states, input_tensor));
  return hidden_states;
}

BertLayer::BertLayer(const Builder& builder)
    : b_(builder),
      self_(named<FullAttention>(b_, "attention.self", FullAttention::Names{"query", "key", "value", nullptr},
                                 SoftmaxDtype::kAsItComes)),
      self_output_(named<BertOutput>(b_, "attention.output", b_.dims.hidden)),
      dense_(named<Linear>(b_, "intermediate", "dense", b_.dims.hidden, b_.dims.ffn, true)),
      output_(named<BertOutput>(b_, "output", b_.dims.ffn)) {}

AttentionOutput BertLayer::attention(const Tensor& hidden_states) const {
  AttentionOutput attention;
  {
    const Scope scope(b_.tape, "attention.self");
    attention = self_(hidden_states);
  }
  const Scope scope(b_.tape, "attention.output");
  attention.output = self_output_(attention.output, hidden_states);
  return attention;
}

Tensor BertLayer::intermediate(const Tensor& input) const {
  const Scope scope(b_.tape, "intermediate");
  Tensor hidden_states = dense_(input);
  hidden_states = activate(b_.description.activation, hidden_states);
  return hidden_states;
}

Tensor BertLayer::operator()(const Tensor& hidden_states) const {
  const AttentionOutput attended = attention(hidden_states);
  const Tensor intermediate_output = intermediate(attended.output);
  const Scope scope(b_.tape, "output");
  return output_(intermediate_output, attended.output);
}

BertPooler::BertPooler(const Builder& b, const char* in_model)
    : scope_(b.description.task == Task::kFeatureExtraction ? "pooler" : in_model),
      dense_(named<Linear>(b, scope_, "dense", b.dims.hidden, b.dims.hidden, true)) {}

Tensor BertPooler::operator()(const Tensor& hidden_states) const {
  const Scope scope(hidden_states.tape(), scope_);
  const Tensor first_token = select_first(hidden_states);
  Tensor pooled = dense_(first_token);
  pooled = tanh(pooled);
  return pooled;
}

PooledClassifier::PooledClassifier(const Builder& b, double dropout)
    : classifier_(b, "classifier", b.dims.hidden, b.dims.labels, true), dropout_(dropout) {}

Tensor PooledClassifier::operator()(const Tensor& pooler_output) const {
  const Tensor pooled_output = dropout(pooler_output, dropout_);
  return classifier_(pooled_output);
}

Tensor positions_after_padding(const Tensor& input_ids, bool adds_past) {
  const auto make = [&](DType dtype, const char* op) { return input_ids.tape().make(input_ids.shape(), dtype, op); };
  Tensor different = make(DType::kBool, "ne");
  const Tensor mask = make(DType::kInt32, "_to_copy");
  different.reset();
  Tensor counts = make(DType::kInt64, "cumsum");
  Tensor indices = make(DType::kInt32, "_to_copy");
  counts.reset();
  if (adds_past) indices = make(DType::kInt32, "add");
  indices = make(DType::kInt32, "mul");
  const Tensor positions = make(DType::kInt64, "_to_copy");
  return make(DType::kInt64, "add");
}

PredictionHead gelu_prediction_head(const Builder& b, const Tensor& word_weight) {
  constexpr const char* kName = "lm_head";
  const Scope scope(b.tape, kName);
  const Tensor bias = b.parameter({b.dims.vocab}, "bias");  // the decoder's where tied, else there but never used
  Linear dense(b, "dense", b.dims.hidden, b.dims.hidden, true);
  LayerNorm norm(b, "layer_norm", b.dims.hidden);
  return {kName, dense, norm, decoder_of_head(b, b.dims.hidden, word_weight, bias), Activation::kGelu};
}

Description read_bert(Fields& fields, const BertDefaults& otherwise) {
  Description d;
  d.vocab = fields.size("vocab_size", otherwise.vocab);
  d.hidden = fields.size("hidden_size", otherwise.hidden);
  d.layers = fields.size("num_hidden_layers", 12);
  d.heads = fields.size("num_attention_heads", otherwise.heads);
  d.ffn = fields.size("intermediate_size", otherwise.ffn);
  d.positions = fields.size("max_position_embeddings", 512);
  if (otherwise.has_token_types) d.token_types = fields.size("type_vocab_size", 2);
  d.activation = read_activation(fields, "hidden_act", "gelu");
  d.hidden_dropout = fields.probability("hidden_dropout_prob", 0.1);
  d.attention_dropout = fields.probability("attention_probs_dropout_prob", 0.1);
  d.classifier_dropout =
      fields.has("classifier_dropout") ? fields.probability("classifier_dropout", 0.1) : d.hidden_dropout;
  d.token_dropout = d.classifier_dropout;
  finish_encoder(fields, d, otherwise.may_turn);
  return d;
}

namespace {

/// BertForSequenceClassification's and BertForMultipleChoice's head.
struct BertClassifier : PooledClassifier {
  explicit BertClassifier(const Builder& b) : PooledClassifier(b, b.description.classifier_dropout) {}
};

struct Pooler : BertPooler {
  explicit Pooler(const Builder& b) : BertPooler(b, "bert.pooler") {}
};

struct BertParts : UsualEncoderParts {
  using Embeddings = BertEmbeddings;
  using Layer = BertLayer;
  using Classifier = BertClassifier;
  using Chooser = BertClassifier;
  using Pooler = peakmem::Pooler;
  static constexpr bool kPoolsClasses = true;
  static constexpr bool kPoolsChoices = true;
  static constexpr const char* kModel = "bert";

  static PredictionHead prediction_head(const Builder& b, const Tensor& word_weight) {
    constexpr const char* kName = "cls.predictions";
    const Scope scope(b.tape, kName);
    const Tensor bias = b.parameter({b.dims.vocab}, "bias");  // the decoder's where tied, else there but never used
    Linear dense(b, "transform.dense", b.dims.hidden, b.dims.hidden, true);
    LayerNorm norm(b, "transform.LayerNorm", b.dims.hidden);
    return {kName, dense, norm, decoder_of_head(b, b.dims.hidden, word_weight, bias), b.description.activation};
  }
};

/// BertForPreTraining: what masked tokens are, and whether the second sentence follows the first.
class PreTraining : public Model {
 public:
  explicit PreTraining(const Builder& b)
      : b_(b),
        bert_(encoder_body(b_, kEncoderParts<BertParts>)),
        pooler_(b_),
        predictions_(BertParts::prediction_head(b_, bert_.weight)),
        seq_relationship_(named<Linear>(b_, "cls", "seq_relationship", b_.dims.hidden, Expr(2), true)) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor sequence_output = bert_.call(batch.input_ids);
    const Tensor pooled_output = pooler_(sequence_output);
    const Tensor prediction_scores = predictions_(sequence_output);
    const Tensor seq_relationship_score = seq_relationship_(pooled_output);
    const Tensor masked_lm_loss = token_loss(prediction_scores, batch.labels);
    const Tensor next_sentence_loss = cross_entropy(seq_relationship_score, batch.more_labels);
    return {add(masked_lm_loss, next_sentence_loss), prediction_scores, {}, {}, false, seq_relationship_score};
  }

 private:
  Builder b_;
  EmbeddingCall bert_;
  Pooler pooler_;
  PredictionHead predictions_;
  Linear seq_relationship_;
};

std::unique_ptr<Model> build(const Builder& b) {
  if (b.description.task == Task::kPreTraining) return std::make_unique<PreTraining>(b);
  return build_encoder<BertParts>(b);
}

Description read(Fields& fields) {
  Description d = read_bert(fields, {30522, 768, 12, 3072});
  d.tied_head_bias = "cls.predictions.bias";
  fields.ignore({"directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
                 "pooler_size_per_head", "pooler_type"});
  return d;
}

}  // namespace

const Family kBert = {"bert", "BERT", "transformers 5.23, models/bert", Task::kMaskedLm, encoder_tasks(true),
                      read,   build};

}  // namespace peakmem
