// ConvNeXT: stages of convolutions channel by channel, each with an MLP over channels behind it (transformers 5.23,
// models/convnext/modeling_convnext.py).
#include <array>
#include <memory>

#include "family/towers.h"
#include "family/vit.h"
#include "size/wording.h"
#include "trace/mean.h"

namespace peakmem {
namespace {

/// torch.nn.Conv2d, to maps of so many pixels along a side.
struct Convolution {
  const char* name;
  Tensor weight, bias;
  int64_t side;

  Convolution(const Builder& b, const char* own_name, const Shape& sizes, int64_t to_side)
      : name(own_name), side(to_side) {
    const Scope scope(b.tape, name);
    weight = b.parameter(sizes, "weight");
    bias = b.parameter({sizes.size[0]}, "bias");
  }
  Tensor operator()(const Tensor& maps) const {
    const Scope scope(weight.tape(), name);
    return conv2d(maps, weight, bias, side, side);
  }
};

/// [B, C, height, width] as [B, height, width, C], and back.
Tensor channels_last(Tensor maps) { return transpose(transpose(std::move(maps), 1, 2), 2, 3); }
Tensor channels_first(Tensor maps) { return transpose(transpose(std::move(maps), 2, 3), 1, 2); }

/// ConvNextLayerNorm of maps.
Tensor norm_channels(const LayerNorm& norm, Tensor maps) {
  return channels_first(norm(channels_last(std::move(maps))));
}

/// ConvNextLayer; the model's first one drops no paths.
struct Layer {
  const Builder& b;
  bool drops_paths;
  Tensor layer_scale_parameter;
  Convolution dwconv;
  LayerNorm layernorm;
  Linear pwconv1, pwconv2;

  Layer(const Builder& builder, int64_t width, int64_t side, bool is_first)
      : b(builder),
        drops_paths(b.description.drops_paths && !is_first),
        layer_scale_parameter(b.description.scales_layers ? b.parameter({width}, "layer_scale_parameter") : Tensor()),
        dwconv(b, "dwconv", {width, 1, 7, 7}, side),
        layernorm(b, "layernorm", width),
        pwconv1(b, "pwconv1", width, 4 * width, true),
        pwconv2(b, "pwconv2", 4 * width, width, true) {}

  Tensor operator()(const Tensor& input) const {
    const Tensor residual = input;
    Tensor features = dwconv(input);
    features = channels_last(std::move(features));
    features = layernorm(features);
    features = pwconv1(features);
    features = activate(b.description.activation, features);
    features = pwconv2(features);
    if (layer_scale_parameter) features = mul(layer_scale_parameter, features);
    features = channels_first(std::move(features));
    const bool drops = drops_paths && b.tape.training;
    features = add(residual, drops ? drop_path(features) : features);
    return features;
  }
};

constexpr std::array<const char*, 8> kStages = {"encoder.stages.0", "encoder.stages.1", "encoder.stages.2",
                                                "encoder.stages.3", "encoder.stages.4", "encoder.stages.5",
                                                "encoder.stages.6", "encoder.stages.7"};
constexpr const char* kLayers = "layers.*";

/// Pixels along a side of a stage's maps.
int64_t side_of(const Description& d, size_t stage) { return (d.image / d.patch) >> stage; }

/// ConvNextStage: fewer, wider maps but in the first one, then its layers.
struct Stage {
  const Builder& b;
  const char* name;
  std::optional<LayerNorm> norm;
  std::optional<Convolution> smaller;
  std::vector<Layer> layers;

  Stage(const Builder& builder, size_t index) : b(builder), name(kStages[index]) {
    const Scope scope(b.tape, name);
    const std::vector<peakmem::Stage>& stages = b.description.stages;
    const int64_t width = stages[index].hidden;
    const int64_t side = side_of(b.description, index);
    if (index > 0) {
      const int64_t before = stages[index - 1].hidden;
      norm.emplace(b, "downsampling_layer.0", before);
      smaller.emplace(b, "downsampling_layer.1", Shape{width, before, 2, 2}, side);
    }
    for (int64_t i = 0; i < stages[index].layers; ++i) {
      b.tape.layer = i;
      const Scope each(b.tape, kLayers);
      layers.emplace_back(b, width, side, index == 0 && i == 0);
    }
  }

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, name);
    Tensor features = input;
    if (norm) features = norm_channels(*norm, std::move(features));
    if (smaller) features = (*smaller)(features);
    for (const Layer& layer : layers) {
      const Scope each(b.tape, kLayers);
      features = layer(features);
    }
    return features;
  }
};

/// ConvNextModel, pooled.
struct Encoder {
  const Builder& b;
  Convolution patch_embeddings;
  LayerNorm embeddings_norm;
  Layers<Stage> stages;
  LayerNorm layernorm;

  explicit Encoder(const Builder& builder)
      : b(builder),
        patch_embeddings(
            b, "embeddings.patch_embeddings",
            {b.description.stages[0].hidden, b.description.channels, b.description.patch, b.description.patch},
            side_of(b.description, 0)),
        embeddings_norm(b, "embeddings.layernorm", b.description.stages[0].hidden),
        stages(b, b.description.runs, b.dims.runs,
               [this](bool) { return Stage(b, static_cast<size_t>(b.tape.layer)); }),
        layernorm(b, "layernorm", b.description.hidden) {}

  Tensor operator()(const Tensor& images) const {
    const Scope scope(b.tape, "convnext");
    const Tensor pixel_values = b.structure.casts_inputs ? to(images, b.structure.weights) : images;
    Tensor embedding_output = patch_embeddings(pixel_values);
    embedding_output = norm_channels(embeddings_norm, std::move(embedding_output));
    Tensor hidden_states = embedding_output;
    stages.run([&](const Stage& stage) { hidden_states = stage(hidden_states); });
    return layernorm(mean_of_maps(hidden_states));
  }
};

/// ConvNextForImageClassification.
class Classifier : public Model {
 public:
  explicit Classifier(const Builder& b)
      : b_(b),
        convnext_(named<Encoder>(b_, "convnext")),
        classifier_(b_, "classifier", b.description.hidden, b.dims.labels, true) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor pooled_output = convnext_(batch.pixel_values);
    const Tensor logits = classifier_(pooled_output);
    return {image_loss(b_, logits, batch), logits};
  }

 private:
  Builder b_;
  Encoder convnext_;
  Linear classifier_;
};

std::vector<int64_t> numbers(Fields& fields, const char* name, std::vector<int64_t> otherwise) {
  const Value* given = fields.find(name);
  if (given == nullptr) return otherwise;
  std::vector<int64_t> list;
  for (const Value& item : given->items) {
    if (item.kind != Value::Kind::kInteger || item.integer < 1) fields.fail(name, "must be a list of positive sizes");
    list.push_back(std::max(item.integer, int64_t{1}));
  }
  return list;
}

/// hidden_sizes and depths, one of each a stage.
void read_stages(Fields& fields, Description& d) {
  const std::vector<int64_t> widths = numbers(fields, "hidden_sizes", {96, 192, 384, 768});
  const std::vector<int64_t> depths = numbers(fields, "depths", {3, 3, 9, 3});
  const auto stages = static_cast<size_t>(fields.size("num_stages", 4));
  if (stages > kStages.size() || widths.size() != stages || depths.size() != stages)
    return fields.fail("num_stages", "is " + std::to_string(stages) +
                                         ", which hidden_sizes and depths must have, up to " +
                                         std::to_string(kStages.size()));
  for (size_t i = 0; i < stages; ++i) d.stages.push_back({.layers = depths[i], .hidden = widths[i]});
}

Description read(Fields& fields) {
  Description d;
  read_stages(fields, d);
  read_image(fields, d, 4, 0);
  if (d.stages.empty()) return d;
  if (side_of(d, d.stages.size() - 1) < 1) fields.fail("image_size", "is too small for so many stages");
  d.layers = static_cast<int64_t>(d.stages.size());
  d.hidden = d.head_dim = d.stages.back().hidden;
  d.ffn = 4 * d.hidden;
  d.heads = d.kv_heads = 1;
  d.activation = read_activation(fields, "hidden_act", "gelu");
  d.drops_paths = fields.probability("drop_path_rate", 0.0) > 0.0;
  d.scales_layers = !fields.has("layer_scale_init_value") || fields.find("layer_scale_init_value")->real > 0.0;
  d.takes_images_as_weights = true;
  d.eager_only = true;
  d.checkpoints = false;
  d.runs = std::vector<LayerRun>(d.stages.size(), {1, false});
  fields.ignore(
      {"layer_scale_init_value", "out_features", "out_indices", "stage_names", "_out_features", "_out_indices"});
  return d;
}

constexpr std::array kTasks = {Task::kImageClassification};

std::unique_ptr<Model> build(const Builder& b) { return std::make_unique<Classifier>(b); }

}  // namespace

const Family kConvNext = {
    "convnext", "ConvNeXT",    "transformers 5.23, models/convnext", Task::kImageClassification, kTasks, read,
    build,      &kSizesOfParts};

}  // namespace peakmem
