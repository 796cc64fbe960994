// Heads over any body: a label for each token, where an answer starts and ends, or none
// (transformers 5.23, modeling_layers.py and the encoders' own).
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "model/model.h"

namespace peakmem {

/// Builds a body, from input_ids or pixel_values to the last hidden states.
using MakeBody = std::function<ModuleCall(const Builder& b)>;

/// A module as a call; a bare one has its parameters under no name.
template <class Body, class... Choices>
ModuleCall body_call(const Builder& b, const char* name, Choices... choices) {
  std::optional<Scope> scope;
  if (b.description.task != Task::kFeatureExtraction) scope.emplace(b.tape, name);
  const auto body = std::make_shared<Body>(b, choices...);
  return [body](const Tensor& input) { return (*body)(input); };
}

/// What families have otherwise in these heads.
struct HeadStyle {
  const char* classifier;                                 // the name of the token classifier
  bool upcasts = false;                                   // its logits, for the loss
  bool head_first = false;                                // the head's parameters come before the body's
  ModuleCall (*make_pooler)(const Builder& b) = nullptr;  // of a bare model that has one
  bool over_embeddings = false;                           // over what is as wide as the body's embeddings
};

/// Whether the task is one of the three.
bool has_common_head(Task task);
std::unique_ptr<Model> build_common_head(const Builder& b, const HeadStyle& style, const MakeBody& body);

}  // namespace peakmem
