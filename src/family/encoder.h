// An encoder of text: embeddings, layers that all see each other's tokens, a head (BERT and its kin in transformers
// 5.23). A family names its own in its Parts:
//
//     Embeddings       (b), or (b, word_weight) where the head is made first;
//                      (input_ids) -> [B, T, C];  word_weight()
//     Layer            (b);  (hidden_states) -> hidden_states, or (hidden_states, context) where Around makes one
//     Around           (b);  what stands beside the layers: before(hidden_states) -> context, which may change them,
//     and
//                      after(hidden_states) -> hidden_states; void where there is nothing
//     kAroundFirst     whether it is made before the layers
//     kOneLayer        whether all layers are one, with the same parameters
//     kUnlikeAtTheEnd  how many layers at the end have not their like: 2 where all share a weight, to whose gradient
//     the
//                      one before the last adds in a new tensor
//     kModel, kLayers  the names of the encoder, and of its layers in it
//     kHeadFirst       whether the head's parameters come before the encoder's
//     prediction_head  (b, word_weight, empty where the head is made first) -> PredictionHead, static
//     Classifier       (b);  (hidden_states) -> logits
//     Chooser          the same for multiple choice
//     Pooler           (b);  (hidden_states) -> pooler_output, of the bare model; void where it has none
//     kPoolsClasses, kPoolsChoices  whether Classifier or Chooser gets that in place of the hidden states
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "family/family.h"

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
  Tensor bias;  // added to the scores where the projection has none

  Tensor operator()(const Tensor& input) const;
};

/// Its projection, over the embedding's weight where the two are tied; the bias is a parameter of its own.
Linear decoder(const Builder& b, const char* name, Expr width, const Tensor& word_weight);
/// The same where a tied one has its bias from the head: BERT's and RoBERTa's.
Linear decoder_of_head(const Builder& b, Expr width, const Tensor& word_weight, const Tensor& bias);

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

/// What all layers are told besides their hidden states: a bias of their attention's scores, or cos and sin of
/// positions that are turned.
struct EncoderContext {
  Tensor bias, cos, sin, positions;
};
using EncoderLayerCall = std::function<Tensor(const Tensor& hidden_states, const EncoderContext& context)>;

/// What is done before all layers and after them; empty calls do nothing.
struct AroundLayers {
  std::function<EncoderContext(Tensor& hidden_states)> before;
  ModuleCall after;
};

/// How the parts of a family are made: each is of one type, as a decoder's are, and there is one encoder for all.
struct EncoderParts {
  const char* model;
  const char* layers;
  bool head_first;
  EmbeddingCall (*make_embeddings)(const Builder& b, const Tensor& word_weight);
  EncoderLayerCall (*make_layer)(const Builder& b);
  AroundLayers (*make_around)(const Builder& b);  // null where there is nothing
  PredictionHead (*prediction_head)(const Builder& b, const Tensor& word_weight);
  ModuleCall (*make_classifier)(const Builder& b);
  ModuleCall (*make_chooser)(const Builder& b);
  ModuleCall (*make_pooler)(const Builder& b);
  bool pools_classes;
  bool pools_choices;
  bool around_first;
  bool one_layer;
  int64_t unlike_at_the_end;
};

/// What most families' Parts have.
struct UsualEncoderParts {
  using Around = void;
  static constexpr bool kAroundFirst = false;
  static constexpr bool kOneLayer = false;
  static constexpr int64_t kUnlikeAtTheEnd = 1;
  static constexpr bool kHeadFirst = false;
  static constexpr const char* kLayers = "encoder.layer.*";
};

template <class Embeddings>
EmbeddingCall make_embeddings(const Builder& b, [[maybe_unused]] const Tensor& word_weight) {
  const auto of = [](Embeddings made) {
    const Tensor weight = made.word_weight();
    return EmbeddingCall{weight, std::move(made)};
  };
  if constexpr (std::is_constructible_v<Embeddings, const Builder&, const Tensor&>)
    return of(Embeddings(b, word_weight));
  else
    return of(Embeddings(b));
}
template <class Layer>
EncoderLayerCall make_encoder_layer(const Builder& b) {
  if constexpr (std::is_invocable_v<const Layer&, const Tensor&, const EncoderContext&>)
    return Layer(b);
  else
    return [layer = Layer(b)](const Tensor& hidden_states, const EncoderContext&) { return layer(hidden_states); };
}
template <class Around>
constexpr auto around_maker_of() -> AroundLayers (*)(const Builder&) {
  if constexpr (std::is_void_v<Around>)
    return nullptr;
  else
    return [](const Builder& b) {
      const auto around = std::make_shared<Around>(b);
      return AroundLayers{[around](Tensor& hidden_states) { return around->before(hidden_states); },
                          [around](const Tensor& hidden_states) { return around->after(hidden_states); }};
    };
}
template <class Module>
ModuleCall make_module(const Builder& b) {
  return Module(b);
}
template <class Module>
constexpr auto maker_of() -> ModuleCall (*)(const Builder&) {
  if constexpr (std::is_void_v<Module>)
    return nullptr;
  else
    return make_module<Module>;
}
template <class Parts>
inline constexpr EncoderParts kEncoderParts = {Parts::kModel,
                                               Parts::kLayers,
                                               Parts::kHeadFirst,
                                               make_embeddings<typename Parts::Embeddings>,
                                               make_encoder_layer<typename Parts::Layer>,
                                               around_maker_of<typename Parts::Around>(),
                                               Parts::prediction_head,
                                               make_module<typename Parts::Classifier>,
                                               make_module<typename Parts::Chooser>,
                                               maker_of<typename Parts::Pooler>(),
                                               Parts::kPoolsClasses,
                                               Parts::kPoolsChoices,
                                               Parts::kAroundFirst,
                                               Parts::kOneLayer,
                                               Parts::kUnlikeAtTheEnd};

/// The encoder itself under its name, and its words' embedding.
EmbeddingCall encoder_body(const Builder& b, const EncoderParts& parts);
std::unique_ptr<Model> build_encoder(const Builder& b, const EncoderParts& parts);

/// A family's `build`.
template <class Parts>
std::unique_ptr<Model> build_encoder(const Builder& b) {
  return build_encoder(b, kEncoderParts<Parts>);
}

/// The tasks such a family is modelled for, one with losses of its own for pre-training among them.
std::span<const Task> encoder_tasks(bool pre_training = false);

/// What all of them derive: as many kv heads as heads, positions in a table; refuses what makes decoders of them.
/// `may_turn`: whether positions other than a table's are the family's own matter.
void finish_encoder(Fields& fields, Description& description, bool may_turn = false);

}  // namespace peakmem
