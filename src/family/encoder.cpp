#include "family/encoder.h"

#include "model/masks.h"
#include "model/task_heads.h"

namespace peakmem {

FullAttention::FullAttention(const Builder& builder, const Names& names, SoftmaxDtype softmax)
    : b_(builder),
      query_(b_, names[0], b_.dims.hidden, b_.dims.hidden, b_.description.qkv_bias),
      key_(b_, names[1], b_.dims.hidden, b_.dims.hidden, b_.description.qkv_bias),
      value_(b_, names[2], b_.dims.hidden, b_.dims.hidden, b_.description.qkv_bias),
      softmax_(softmax) {
  if (names[3] != nullptr) output_.emplace(b_, names[3], b_.dims.hidden, b_.dims.hidden, true);
}

Tensor FullAttention::heads(const Linear& projection, const Tensor& hidden_states) const {
  return as_heads(projection(hidden_states), b_.dims.heads, b_.dims.head_dim);
}

AttentionOutput FullAttention::operator()(const Tensor& hidden_states) const {
  const Tensor query = heads(query_, hidden_states);
  const Tensor key = heads(key_, hidden_states);
  const Tensor value = heads(value_, hidden_states);
  AttentionOutput attention = attend(query, key, value, {b_, 1, Tensor(), false, softmax_});
  attention.output = from_heads(attention.output);
  if (output_) attention.output = (*output_)(attention.output);
  return attention;
}

Tensor PredictionHead::operator()(const Tensor& input) const {
  std::optional<Scope> within;
  if (scope != nullptr) within.emplace(input.tape(), scope);
  Tensor hidden_states = dense(input);
  hidden_states = activate(activation, hidden_states);
  hidden_states = layer_norm(hidden_states);
  if (!bias) return decoder(hidden_states);
  return add(decoder(hidden_states), bias);  // one expression: what was normed is named until its end
}

Linear decoder(const Builder& b, const char* name, Expr width, const Tensor& word_weight) {
  if (!b.description.tied) return {b, name, width, b.dims.vocab, true};
  const Scope scope(b.tape, name);
  b.make_untied(word_weight.shape(), "weight");
  return {name, word_weight, b.parameter({b.dims.vocab}, "bias")};
}

Linear decoder_of_head(const Builder& b, Expr width, const Tensor& word_weight, const Tensor& bias) {
  constexpr const char* kName = "decoder";
  if (!b.description.tied) return {b, kName, width, b.dims.vocab, true};
  const Scope scope(b.tape, kName);
  if (word_weight) b.make_untied(word_weight.shape(), "weight");
  const Tensor weight = word_weight ? word_weight : b.parameter({b.dims.vocab, width}, "weight");
  b.make_untied(bias.shape(), "bias");
  return {kName, weight, bias};
}

ClassificationHead::ClassificationHead(const Builder& builder, Activation activation)
    : b_(builder),
      dense_(b_, "classifier.dense", b_.dims.hidden, b_.dims.hidden, true),
      out_proj_(b_, "classifier.out_proj", b_.dims.hidden, b_.dims.labels, true),
      activation_(activation) {}

Tensor ClassificationHead::operator()(const Tensor& features) const {
  Tensor x = select_first(features);
  x = dropout(x, b_.description.classifier_dropout);
  x = dense_(x);
  x = activate(activation_, x);
  x = dropout(x, b_.description.classifier_dropout);
  x = out_proj_(x);
  return x;
}

namespace {

/// BertModel of a family's parts, without a pooler.
class Encoder {
 public:
  Encoder(const Builder& builder, const EncoderParts* parts, const Tensor& word_weight)
      : b_(builder),
        parts_(*parts),
        embeddings_(parts_.make_embeddings(b_, word_weight)),
        around_(make_around(parts_.around_first)),
        one_layer_(parts_.one_layer ? make_layer() : EncoderLayerCall()),
        layers_(
            b_, b_.description.runs, b_.dims.runs,
            [this](bool /*windowed*/) { return one_layer_ ? one_layer_ : make_layer(); }, parts_.unlike_at_the_end) {
    if (!parts_.around_first) around_ = make_around(true);
  }

  const Tensor& word_weight() const { return embeddings_.weight; }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, parts_.model);
    const Tensor embedding_output = embeddings_.call(input_ids);
    if (b_.structure.padding_mask) look_for_padding(embedding_output);
    Tensor hidden_states = embedding_output;
    EncoderContext context = around_.before ? around_.before(hidden_states) : EncoderContext();
    const Tensor position_ids = std::exchange(context.positions, Tensor());  // no layer is told
    layers_.run([&](const EncoderLayerCall& layer) {
      const Scope named_layer(b_.tape, parts_.layers);
      hidden_states = checkpoint(
          b_.structure.checkpointing,
          [&layer, context](const Tensor& input, const Tensor&) { return layer(input, context); }, hidden_states);
    });
    return around_.after ? around_.after(hidden_states) : hidden_states;
  }

 private:
  EncoderLayerCall make_layer() const {
    const Scope scope(b_.tape, parts_.layers);
    return parts_.make_layer(b_);
  }
  AroundLayers make_around(bool now) const {
    return now && parts_.make_around != nullptr ? parts_.make_around(b_) : AroundLayers();
  }

  const Builder& b_;
  const EncoderParts& parts_;
  EmbeddingCall embeddings_;
  AroundLayers around_;
  EncoderLayerCall one_layer_;
  Layers<EncoderLayerCall> layers_;
};

/// BertForMaskedLM.
class MaskedLm : public Model {
 public:
  MaskedLm(const Builder& b, const EncoderParts& parts) : b_(b) {
    if (parts.head_first) head_.emplace(parts.prediction_head(b_, Tensor()));
    const Tensor shared = head_ && b_.description.tied ? head_->decoder.weight() : Tensor();
    if (shared) b_.make_untied(shared.shape(), "word_embeddings");
    encoder_.emplace(named<Encoder>(b_, parts.model, &parts, shared));
    if (!head_) head_.emplace(parts.prediction_head(b_, encoder_->word_weight()));
  }

  ModelOutput forward(const Batch& batch) override {
    const Tensor sequence_output = (*encoder_)(batch.input_ids);
    const Tensor prediction_scores = (*head_)(sequence_output);
    return {token_loss(prediction_scores, batch.labels), prediction_scores};
  }

 private:
  Builder b_;
  std::optional<Encoder> encoder_;
  std::optional<PredictionHead> head_;
};

/// BertForSequenceClassification.
class SequenceClassifier : public Model {
 public:
  SequenceClassifier(const Builder& b, const EncoderParts& parts) : b_(b) {
    const auto make = chooses() ? parts.make_chooser : parts.make_classifier;
    if (parts.head_first) classifier_ = make(b_);
    encoder_ = encoder_body(b_, parts).call;
    if (chooses() ? parts.pools_choices : parts.pools_classes) pooler_ = parts.make_pooler(b_);
    if (!classifier_) classifier_ = make(b_);
  }

  ModelOutput forward(const Batch& batch) override {
    const Tensor sequence_output = encoder_(batch.input_ids);
    const Tensor logits = classifier_(pooler_ ? pooler_(sequence_output) : sequence_output);
    if (!chooses()) return {label_loss(b_, logits, batch.labels), logits};
    const Tensor reshaped_logits = of_examples(logits);
    return {cross_entropy(reshaped_logits, batch.labels), reshaped_logits};
  }

 private:
  /// BertForMultipleChoice.
  bool chooses() const { return b_.description.task == Task::kMultipleChoice; }
  /// logits.view(-1, num_choices)
  Tensor of_examples(const Tensor& logits) const {
    const Expr examples = b_.dims.examples;
    return split_dim(merge_dims(logits, 0, 2), 0, examples, exact_div(b_.dims.batch, examples));
  }

  Builder b_;
  ModuleCall encoder_, pooler_, classifier_;
};

}  // namespace

EmbeddingCall encoder_body(const Builder& b, const EncoderParts& parts) {
  const Scope scope(b.tape, parts.model);
  const auto encoder = std::make_shared<Encoder>(b, &parts, Tensor());
  return {encoder->word_weight(), [encoder](const Tensor& input_ids) { return (*encoder)(input_ids); }};
}

std::unique_ptr<Model> build_encoder(const Builder& b, const EncoderParts& parts) {
  const Task task = b.description.task;
  if (has_common_head(task))
    return build_common_head(b, {"classifier", false, parts.head_first, parts.make_pooler}, [&](const Builder& own) {
      return body_call<Encoder>(own, parts.model, &parts, Tensor());
    });
  if (task == Task::kMaskedLm) return std::make_unique<MaskedLm>(b, parts);
  return std::make_unique<SequenceClassifier>(b, parts);
}

std::span<const Task> encoder_tasks(bool pre_training) {
  static constexpr std::array kTasks = {
      Task::kMaskedLm,       Task::kSequenceClassification, Task::kTokenClassification, Task::kQuestionAnswering,
      Task::kMultipleChoice, Task::kFeatureExtraction,      Task::kPreTraining};
  return std::span(kTasks).first(kTasks.size() - (pre_training ? 0 : 1));
}

void finish_encoder(Fields& fields, Description& d, bool may_turn) {
  d.kv_heads = d.heads;
  d.qkv_bias = true;
  d.learned_positions = true;
  d.tied = fields.flag("tie_word_embeddings", true);
  fields.refuse_flag("is_decoder", false, "makes a decoder of it");
  fields.refuse_flag("add_cross_attention", false, "adds cross attention");
  if (!may_turn && fields.text("position_embedding_type", "absolute") != "absolute")
    fields.fail("position_embedding_type", "only \"absolute\" is modelled (transformers 5 has no other)");
  if (d.hidden % d.heads != 0)
    fields.fail("num_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  d.head_dim = d.hidden / d.heads;
}

}  // namespace peakmem
