#include "model/encoder.h"

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
  hidden_states = decoder(hidden_states);
  return hidden_states;
}

Linear decoder(const Builder& b, const char* name, Expr width, const Tensor& word_weight) {
  if (!b.description.tied) return {b, name, width, b.dims.vocab, true};
  const Scope scope(b.tape, name);
  return {name, word_weight, b.parameter({b.dims.vocab}, "bias")};
}

Linear decoder_of_head(const Builder& b, const Tensor& word_weight, const Tensor& bias) {
  constexpr const char* kName = "decoder";
  if (!b.description.tied) return {b, kName, b.dims.hidden, b.dims.vocab, true};
  const Scope scope(b.tape, kName);
  return {kName, word_weight ? word_weight : b.parameter({b.dims.vocab, b.dims.hidden}, "weight"), bias};
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

std::span<const Task> encoder_tasks() {
  static constexpr std::array kTasks = {Task::kMaskedLm, Task::kSequenceClassification};
  return kTasks;
}

void finish_encoder(Fields& fields, Description& d) {
  d.kv_heads = d.heads;
  d.qkv_bias = true;
  d.learned_positions = true;
  d.tied = fields.flag("tie_word_embeddings", true);
  fields.refuse_flag("is_decoder", false, "makes a decoder of it");
  fields.refuse_flag("add_cross_attention", false, "adds cross attention");
  if (fields.text("position_embedding_type", "absolute") != "absolute")
    fields.fail("position_embedding_type", "only \"absolute\" is modelled (transformers 5 has no other)");
  if (d.hidden % d.heads != 0)
    fields.fail("num_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  d.head_dim = d.hidden / d.heads;
}

}  // namespace peakmem
