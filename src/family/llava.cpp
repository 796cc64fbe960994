// LLaVA: CLIP's patches, projected by an MLP, in the places of a decoder's tokens (transformers 5.23,
// models/llava/modeling_llava.py).
#include <array>
#include <memory>

#include "family/towers.h"
#include "trace/image_ops.h"

namespace peakmem {
namespace {

/// LlavaMultiModalProjector.
class Projector {
 public:
  explicit Projector(const Builder& builder)
      : b_(builder),
        linear_1_(b_, "linear_1", b_.description.tower->hidden, b_.dims.hidden, b_.description.projector_bias),
        linear_2_(b_, "linear_2", b_.dims.hidden, b_.dims.hidden, b_.description.projector_bias) {}

  Tensor operator()(const Tensor& image_features) const {
    const Scope scope(b_.tape, "multi_modal_projector");
    Tensor hidden_states = linear_1_(image_features);
    hidden_states = activate(b_.description.projector_activation, hidden_states);
    hidden_states = linear_2_(hidden_states);
    return hidden_states;
  }

 private:
  const Builder& b_;
  Linear linear_1_, linear_2_;
};

/// LlavaModel.get_image_features, and what its forward joins of it.
FeatureCall make_features(const Builder& b) {
  const TowerCall tower = make_tower(b, "vision_tower");
  const auto projector = std::make_shared<Projector>(named<Projector>(b, "multi_modal_projector"));
  return [tower, projector, d = b.description.tower](const Tensor& pixel_values) -> ImageFeatures {
    TowerOutput seen = tower(pixel_values);
    Tensor selected = d->takes_patches ? slice(seen.selected, 1, d->positions - 1) : seen.selected;
    const Tensor image_features = (*projector)(selected);
    selected.reset();
    seen.pooled.reset();
    return {{seen.last_hidden_state, seen.selected, image_features}, join_rows(image_features)};
  };
}

const Sight kLlavaSight = {make_features, nullptr};

/// vision_feature_layer: the last layer's output, or what it is given.
void read_selection(Fields& fields, Description& tower) {
  const Value* layer = fields.find("vision_feature_layer");
  const int64_t which = layer == nullptr ? -2 : layer->integer;
  if ((layer != nullptr && layer->kind != Value::Kind::kInteger) || (which != -1 && which != -2))
    fields.fail("vision_feature_layer", "is modelled as -1 and -2 only", "set it to one of them");
  tower.takes_last_but_one = which == -2;
  const std::string strategy = fields.text("vision_feature_select_strategy", "default");
  if (strategy != "default" && strategy != "full")
    fields.fail("vision_feature_select_strategy", "is neither \"default\" nor \"full\"");
  tower.takes_patches = strategy == "default";
}

Description read(Fields& fields) {
  Description d = read_text_part(fields, {"llama", "mistral", "qwen2"});
  read_tower(fields, d, kLlavaSight, "clip_vision_model");
  d.projector_activation = read_activation(fields, "projector_hidden_act", "gelu");
  d.projector_bias = fields.flag("multimodal_projector_bias", true);
  d.tied = fields.flag("tie_word_embeddings", false) || d.tied;
  if (!d.tower) return d;
  Description tower = *d.tower;
  read_selection(fields, tower);
  d.image_tokens = tower.positions - (tower.takes_patches ? 1 : 0);
  d.tower = std::make_shared<const Description>(std::move(tower));
  fields.ignore({"image_token_index", "image_seq_length", "ignore_index", "vocab_size"});
  return d;
}

constexpr std::array kTasks = {Task::kImageTextToText};

std::unique_ptr<Model> build(const Builder& b) { return find_family(b.description.text_family)->build(b); }

}  // namespace

const Family kLlava = {"llava", "LLaVA",       "transformers 5.23, models/llava", Task::kImageTextToText, kTasks, read,
                       build,   &kSizesOfParts};

}  // namespace peakmem
