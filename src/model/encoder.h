// An encoder of text: embeddings, layers that all see each other's tokens, a head (BERT and its kin in transformers
// 5.23). A family names its own in its Parts:
//
//     Embeddings       (b), or (b, word_weight) where the head is made first;
//                      (input_ids) -> [B, T, C];  word_weight()
//     Layer            (b);  (hidden_states) -> hidden_states
//     kModel, kLayers  the names of the encoder, and of its layers in it
//     kHeadFirst       whether the head's parameters come before the encoder's
//     prediction_head  (b, word_weight, empty where the head is made first) -> PredictionHead, static
//     Classifier       (b);  (hidden_states) -> logits
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "model/family.h"

namespace peakmem {

/// Attention of every token to all: projections of [B, T, C] that have a bias where `qkv_bias` says so, and one of the
/// output if it has a name.
class FullAttention {
 public:
  /// Of query, key, value and output; null where there is none.
  using Names = std::array<const char*, 4>;
  FullAttention(const Builder& builder, const Names& names, SoftmaxDtype softmax);
  AttentionOutput operator()(const Tensor& hidden_states) const;

 private:
  Tensor heads(const Linear& projection, const Tensor& hidden_states) const;

  const Builder& b_;
  Linear query_, key_, value_;
  std::optional<Linear> output_;
  SoftmaxDtype softmax_;
};

/// The head of a masked language model: a layer, a norm, and the projection to the vocabulary.
struct PredictionHead {
  const char* scope;  // null where its layers are the model's own
  Linear dense;
  LayerNorm layer_norm;
  Linear decoder;
  Activation activation;

  Tensor operator()(const Tensor& input) const;
};

/// Its projection, over the embedding's weight where the two are tied; the bias is a parameter of its own.
Linear decoder(const Builder& b, const char* name, Expr width, const Tensor& word_weight);
/// The same where a tied one has its bias from the head: BERT's and RoBERTa's.
Linear decoder_of_head(const Builder& b, const Tensor& word_weight, const Tensor& bias);

/// RobertaClassificationHead, with any activation: a layer between two dropouts over the first token.
class ClassificationHead {
 public:
  ClassificationHead(const Builder& builder, Activation activation);
  Tensor operator()(const Tensor& features) const;

 private:
  const Builder& b_;
  Linear dense_, out_proj_;
  Activation activation_;
};

/// BertModel of those parts, without a pooler.
template <class Parts>
class Encoder {
 public:
  explicit Encoder(const Builder& builder, const Tensor& word_weight = {})
      : b_(builder),
        embeddings_(make_embeddings(b_, word_weight)),
        layers_(b_, b_.description.runs, b_.dims.runs,
                [this](bool /*windowed*/) { return named<Layer>(b_, Parts::kLayers); }) {}

  const Tensor& word_weight() const { return embeddings_.word_weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, Parts::kModel);
    const Tensor embedding_output = embeddings_(input_ids);
    Tensor hidden_states = embedding_output;
    layers_.run([&](const Layer& layer) {
      const Scope named_layer(b_.tape, Parts::kLayers);
      hidden_states = checkpoint(
          b_.structure.checkpointing, [&layer](const Tensor& input, const Tensor&) { return layer(input); },
          hidden_states);
    });
    return hidden_states;
  }

 private:
  using Layer = typename Parts::Layer;
  using Embeddings = typename Parts::Embeddings;

  static Embeddings make_embeddings(const Builder& b, const Tensor& word_weight) {
    if constexpr (Parts::kHeadFirst)
      return Embeddings(b, word_weight);
    else
      return Embeddings(b);
  }

  const Builder& b_;
  Embeddings embeddings_;
  Layers<Layer> layers_;
};

/// BertForMaskedLM.
template <class Parts>
class MaskedLm : public Model {
 public:
  explicit MaskedLm(const Builder& b) : b_(b) {
    if constexpr (Parts::kHeadFirst) head_.emplace(Parts::prediction_head(b_, Tensor()));
    const Tensor shared = head_ && b_.description.tied ? head_->decoder.weight() : Tensor();
    encoder_.emplace(named<Encoder<Parts>>(b_, Parts::kModel, shared));
    if (!head_) head_.emplace(Parts::prediction_head(b_, encoder_->word_weight()));
  }

  ModelOutput forward(const Batch& batch) override {
    const Tensor sequence_output = (*encoder_)(batch.input_ids);
    const Tensor prediction_scores = (*head_)(sequence_output);
    return {token_loss(prediction_scores, batch.labels), prediction_scores};
  }

 private:
  Builder b_;
  std::optional<Encoder<Parts>> encoder_;
  std::optional<PredictionHead> head_;
};

/// BertForSequenceClassification.
template <class Parts>
class SequenceClassifier : public Model {
 public:
  explicit SequenceClassifier(const Builder& b) : b_(b) {
    if constexpr (Parts::kHeadFirst) classifier_.emplace(b_);
    encoder_.emplace(named<Encoder<Parts>>(b_, Parts::kModel, Tensor()));
    if (!classifier_) classifier_.emplace(b_);
  }

  ModelOutput forward(const Batch& batch) override {
    const Tensor sequence_output = (*encoder_)(batch.input_ids);
    const Tensor logits = (*classifier_)(sequence_output);
    return {label_loss(b_, logits, batch.labels), logits};
  }

 private:
  Builder b_;
  std::optional<Encoder<Parts>> encoder_;
  std::optional<typename Parts::Classifier> classifier_;
};

/// A family's `build`.
template <class Parts>
std::unique_ptr<Model> build_encoder(const Builder& b) {
  if (b.description.task == Task::kSequenceClassification) return std::make_unique<SequenceClassifier<Parts>>(b);
  return std::make_unique<MaskedLm<Parts>>(b);
}

/// The tasks such a family is modelled for.
std::span<const Task> encoder_tasks();

/// What all of them derive: as many kv heads as heads, positions in a table; refuses what makes decoders of them.
void finish_encoder(Fields& fields, Description& description);

}  // namespace peakmem
