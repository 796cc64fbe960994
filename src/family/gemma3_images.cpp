// How Gemma 3 sees (transformers 5.23, models/gemma3/modeling_gemma3.py): a projector that pools SigLIP's patches, and
// masks under which an image's tokens see each other.
#include <memory>

#include "family/gemma.h"
#include "model/block_masks.h"
#include "trace/image_ops.h"

namespace peakmem {
namespace {

/// The whole root of a number that has one, else 0.
int64_t whole_root(int64_t square) {
  int64_t root = 0;
  while (root * root < square) ++root;
  return root * root == square ? root : 0;
}

/// Gemma3MultiModalProjector.
class Projector {
 public:
  explicit Projector(const Builder& builder)
      : b_(builder),
        tower_(*b_.description.tower),
        mm_input_projection_weight_(b_.parameter({tower_.hidden, b_.dims.hidden}, "mm_input_projection_weight")),
        mm_soft_emb_norm_(b_, "mm_soft_emb_norm", tower_.hidden) {}

  Tensor operator()(const Tensor& vision_outputs) const {
    const Scope scope(b_.tape, "multi_modal_projector");
    const int64_t side = tower_.image / tower_.patch;
    const int64_t tokens = whole_root(b_.description.image_tokens);
    Tensor reshaped = split_dim(transpose(vision_outputs, 1, 2), 2, side, side);
    reshaped = contiguous(reshaped);
    Tensor pooled = avg_pool2d(reshaped, tokens, tokens);
    pooled = merge_dims(pooled, 2, 2);
    pooled = transpose(pooled, 1, 2);
    const Tensor normed = mm_soft_emb_norm_(pooled);
    const Tensor projected = matmul_by_matrix(normed, mm_input_projection_weight_);
    return to(projected, vision_outputs.dtype());
  }

 private:
  const Builder& b_;
  const Description& tower_;
  Tensor mm_input_projection_weight_;
  ShiftedNorm mm_soft_emb_norm_;
};

/// Gemma3Model.get_image_features.
FeatureCall make_features(const Builder& b) {
  const TowerCall tower = make_tower(b, "vision_tower");
  const auto projector = std::make_shared<Projector>(named<Projector>(b, "multi_modal_projector"));
  return [tower, projector](const Tensor& pixel_values) -> ImageFeatures {
    const TowerOutput seen = tower(pixel_values);
    return {{seen.last_hidden_state}, (*projector)(seen.last_hidden_state)};
  };
}

/// get_block_sequence_ids_for_mask: which image each token is of.
Tensor image_of_tokens(const Builder& b) {
  const NoGrad no_grad(b.tape);
  const Scope scope(b.tape, "block_sequence_ids");
  Tape& tape = b.tape;
  const Shape tokens = {b.dims.batch, b.dims.seq};
  const Tensor is_image = tape.make(tokens, DType::kBool, "eq");
  const Tensor is_previous = tape.make({b.dims.batch, b.dims.seq + 1}, DType::kBool, "constant_pad_nd");
  Tensor is_no_previous = tape.make(tokens, DType::kBool, "bitwise_not");
  const Tensor starts = tape.make(tokens, DType::kBool, "bitwise_and");
  is_no_previous.reset();
  Tensor counted = tape.make(tokens, DType::kInt32, "_to_copy");
  Tensor sums = tape.make(tokens, DType::kInt64, "cumsum");
  counted.reset();
  const Tensor groups = tape.make(tokens, DType::kInt64, "sub");
  sums.reset();
  const Tensor none = tape.make({}, DType::kInt64, "scalar_tensor");
  return tape.make(tokens, DType::kInt64, "where");
}

/// create_masks_for_vision_model.
TextInputs make_inputs(const Builder& b, const Tensor& inputs_embeds) {
  TextInputs inputs;
  inputs.held = {image_of_tokens(b)};
  DecoderMasks masks;
  masks.full = block_mask(b, inputs_embeds.dtype());
  masks.windowed = windowed_block_mask(b, inputs_embeds.dtype());
  inputs.masks = masks;
  return inputs;
}

}  // namespace

const Sight kGemma3Sight = {make_features, make_inputs, true};

void fit_gemma3_projector(Fields& fields, const Description& d) {
  if (!d.tower) return;
  const int64_t side = d.tower->image / d.tower->patch;
  const int64_t tokens = whole_root(d.image_tokens);
  if (tokens == 0 || side % tokens != 0)
    fields.fail("mm_tokens_per_image", std::to_string(d.image_tokens) + " tokens are no square that divides " +
                                           std::to_string(side) + " x " + std::to_string(side) + " patches");
}

}  // namespace peakmem
