// How a model of text and images puts what it sees among its tokens (transformers 5.23, models/llava and its kin).
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "model/heads.h"
#include "model/masks.h"

namespace peakmem {

/// What a tower's output holds. `selected`: what the model goes on with.
struct TowerOutput {
  Tensor selected;
  Tensor last_hidden_state;
  Tensor pooled;
  std::vector<Tensor> deep;  // what its inner layers give, of a tower that hands those on
};
using TowerCall = std::function<TowerOutput(const Tensor& pixel_values)>;

/// What images become: features in the places of tokens, and what the tower's output holds beside them.
struct ImageFeatures {
  std::vector<Tensor> held;
  Tensor features;
  std::vector<std::vector<Tensor>> deep;  // of inner layers, by image
};
using FeatureCall = std::function<ImageFeatures(const Tensor& pixel_values)>;

/// What the text model is told besides embeddings; what it is not told it makes itself.
struct TextInputs {
  std::vector<Tensor> held;
  Tensor position_ids;
  std::optional<DecoderMasks> masks;
  Tensor places;             // where images are among the tokens
  std::vector<Tensor> deep;  // features that are added there behind the first layers (DeepStack, Qwen3-VL)
};

/// What a family has of its own; its text model is one that is there already.
struct Sight {
  /// get_image_features: the tower and the projector, which are made before the text model.
  FeatureCall (*make_features)(const Builder& b);
  /// What the text model is told besides embeddings, made when those are there; null where it is told nothing.
  TextInputs (*make_inputs)(const Builder& b, const Tensor& inputs_embeds);
  bool tells_tokens_apart = false;  // token_type_ids say which tokens are an image's
  bool text_first = false;          // the text model is made before the tower
  bool pools = false;               // what the tower pools is used
  bool any_size = false;            // images are patches in a row, as many as each has (Qwen2-VL): recipe/images.h
};

/// Rows and columns of the tokens of an image of any size, as square as they come.
std::array<int64_t, 2> grid_of(int64_t tokens);

}  // namespace peakmem
