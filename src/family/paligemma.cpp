// PaliGemma: SigLIP's patches, projected, before Gemma's or Gemma 2's tokens, which see all of them (transformers 5.23,
// models/paligemma/modeling_paligemma.py).
#include <array>
#include <memory>

#include "family/towers.h"
#include "model/block_masks.h"

namespace peakmem {
namespace {

/// PaliGemmaModel.get_image_features.
FeatureCall make_features(const Builder& b) {
  const TowerCall tower = make_tower(b, "vision_tower");
  const Scope scope(b.tape, "multi_modal_projector");
  const auto linear = std::make_shared<Linear>(b, "linear", b.description.tower->hidden, b.dims.hidden, true);
  return [tower, linear, &tape = b.tape](const Tensor& pixel_values) -> ImageFeatures {
    const TowerOutput seen = tower(pixel_values);
    const Scope running(tape, "multi_modal_projector");
    return {{seen.last_hidden_state}, (*linear)(seen.last_hidden_state)};
  };
}

/// Positions from 1 on, which are made before anything is seen; and a mask without a window.
TextInputs make_inputs(const Builder& b, const Tensor& inputs_embeds) {
  const NoGrad no_grad(b.tape);
  TextInputs inputs;
  inputs.position_ids = b.tape.make({1, b.dims.seq}, DType::kInt64, "add");
  const Tensor none = b.tape.make({}, DType::kInt64, "scalar_tensor");
  inputs.held = {b.tape.make({b.dims.batch, b.dims.seq}, DType::kInt64, "where")};
  check_for_packed_sequences(b);
  inputs.masks = DecoderMasks{block_mask(b, inputs_embeds.dtype()), Tensor()};
  return inputs;
}

const Sight kPaliGemmaSight = {make_features, make_inputs, true};

Description read(Fields& fields) {
  Description d = read_text_part(fields, {"gemma"});
  read_tower(fields, d, kPaliGemmaSight, "siglip_vision_model");
  d.tied = fields.flag("tie_word_embeddings", true);
  if (d.tower) d.image_tokens = d.tower->positions;
  fields.ignore(
      {"image_token_index", "ignore_index", "projection_dim", "hidden_size", "vocab_size", "num_image_tokens"});
  return d;
}

constexpr std::array kTasks = {Task::kImageTextToText};

std::unique_ptr<Model> build(const Builder& b) { return find_family(b.description.text_family)->build(b); }

}  // namespace

const Family kPaliGemma = {
    "paligemma", "PaliGemma",   "transformers 5.23, models/paligemma", Task::kImageTextToText, kTasks, read,
    build,       &kSizesOfParts};

}  // namespace peakmem
