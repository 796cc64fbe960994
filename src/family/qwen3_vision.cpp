// What encodes the images of Qwen3-VL (transformers 5.23, models/qwen3_vl/modeling_qwen3_vl.py).
#include <algorithm>
#include <memory>
#include <optional>

#include "family/qwen_vision.h"
#include "trace/parts.h"

namespace peakmem {
namespace {

/// Qwen3VLVisionMLP.
struct VisionMlp {
  const Builder& b;
  Linear linear_fc1, linear_fc2;

  explicit VisionMlp(const Builder& builder)
      : b(builder),
        linear_fc1(b, "linear_fc1", b.dims.hidden, b.dims.ffn, true),
        linear_fc2(b, "linear_fc2", b.dims.ffn, b.dims.hidden, true) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "mlp");
    return linear_fc2(activate(b.description.activation, linear_fc1(input)));
  }
};

/// get_vision_interpolation_indices_and_weights, and what is read of the table: a place between four of its.
struct PlaceEmbedding {
  const Builder& b;
  Embedding pos_embed;

  explicit PlaceEmbedding(const Builder& builder)
      : b(builder), pos_embed(b, "pos_embed", b.description.grid, b.dims.hidden) {}

  /// [N, 4] each: which, and how much of it.
  struct Between {
    Tensor indices, weights;
  };
  Between places(Expr patches) const {
    const Shape four = {patches, 4};
    const Tensor indices = b.tape.make(four, DType::kInt64, "add");
    return {indices, b.tape.make(four, DType::kFloat32, "mul")};
  }
  Tensor operator()(const Between& between) const {
    return sum_dim(mul(pos_embed(between.indices), unsqueeze(between.weights, 2)), 1);
  }
};

/// Qwen3VLVisionPatchMerger: `deep`, the norm is over what stands side by side.
struct PatchMerger {
  const Builder& b;
  const char* name;
  bool deep;
  LayerNorm norm;
  Linear linear_fc1, linear_fc2;

  PatchMerger(const Builder& builder, const char* own_name, bool is_deep)
      : b(builder),
        name(own_name),
        deep(is_deep),
        norm(b, "norm", deep ? width() : b.dims.hidden),
        linear_fc1(b, "linear_fc1", width(), width(), true),
        linear_fc2(b, "linear_fc2", width(), b.description.projection, true) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, name);
    Tensor x = deep ? norm(side_by_side(input)) : side_by_side(norm(input));
    return linear_fc2(gelu(linear_fc1(std::move(x))));
  }

 private:
  Expr merged() const { return b.description.merge * b.description.merge; }
  Expr width() const { return b.dims.hidden * merged(); }
  Tensor side_by_side(Tensor rows) const {
    const Expr tokens = exact_div(rows.size(0), merged());
    return merge_dims(split_dim(std::move(rows), 0, tokens, merged()), 1, 2);
  }
};

/// Qwen3VLVisionModel.
class VisionModel {
 public:
  explicit VisionModel(const Builder& builder)
      : b_(builder),
        patch_embed_(named<FilmPatches>(b_, "patch_embed", true)),
        pos_embed_(b_),
        rotary_pos_emb_(b_),
        blocks_(b_, b_.description.runs, b_.dims.runs,
                [this](bool deep) { return OfKind{named<Layer>(b_, "blocks.*"), deep}; }),
        merger_(named<PatchMerger>(b_, "merger", "merger", false)),
        deepstack_merger_list_(b_, std::vector<LayerRun>(deep_layers(), {1, false}),
                               std::vector<Expr>(deep_layers(), 1),
                               [this](bool) { return named<PatchMerger>(b_, kDeep, kDeep, true); }) {}

  TowerOutput operator()(const Tensor& pixel_values) const {
    const PlaceEmbedding::Between between = pos_embed_.places(pixel_values.size(0));
    const Tensor position_ids = places_of_patches(b_);
    const Stretches whole = stretches(b_, whole_images(b_), "constant_pad_nd");
    Tensor hidden_states = patch_embed_(pixel_values);
    const Tensor pos_embeds = pos_embed_(between);
    hidden_states = add(hidden_states, to(pos_embeds, hidden_states.dtype()));
    const Rotation rotation = rotary_pos_emb_();
    std::vector<Tensor> deep;
    const auto run = [&](const OfKind& kind) {
      hidden_states = run_block(b_, kind.layer, hidden_states, rotation, whole);
    };
    blocks_.run(run, [&](const OfKind& kind) {
      const auto merge = [&](const PatchMerger& merger) { return merger(hidden_states); };
      if (kind.deep) deep.push_back(deepstack_merger_list_.run_one(deep.size(), merge));
    });
    const Tensor merged = merger_(hidden_states);
    return {merged, hidden_states, Tensor(), std::move(deep)};
  }

 private:
  using Layer = VisionBlock<LayerNorm, VisionMlp>;
  struct OfKind {
    Layer layer;
    bool deep;
  };
  size_t deep_layers() const { return b_.description.deep_layers.size(); }
  static constexpr const char* kDeep = "deepstack_merger_list.*";

  const Builder& b_;
  FilmPatches patch_embed_;
  PlaceEmbedding pos_embed_;
  AxialRotary rotary_pos_emb_;
  Layers<OfKind> blocks_;
  PatchMerger merger_;
  Layers<PatchMerger> deepstack_merger_list_;
};

/// A layer that hands on is a run of its own, and so is the one behind it, whose input's gradient is a sum.
void read_deep_layers(Fields& fields, Description& d) {
  d.deep_layers = {8, 16, 24};
  if (const Value* given = fields.find("deepstack_visual_indexes"); given != nullptr) {
    d.deep_layers.clear();
    for (const Value& item : given->items) d.deep_layers.push_back(item.integer);
  }
  if (!std::is_sorted(d.deep_layers.begin(), d.deep_layers.end()))
    fields.fail("deepstack_visual_indexes", "is modelled in order only");
  bool closed = true;
  bool was_deep = false;
  for (int64_t layer = 0; layer < d.layers; ++layer) {
    const bool deep = std::binary_search(d.deep_layers.begin(), d.deep_layers.end(), layer);
    if (closed || deep)
      d.runs.push_back({1, deep});
    else
      ++d.runs.back().layers;
    closed = deep || was_deep;
    was_deep = deep;
  }
}

}  // namespace

TowerCall make_qwen3_vl_tower(const Builder& b) {
  const auto tower = std::make_shared<VisionModel>(b);
  return [tower](const Tensor& pixel_values) { return (*tower)(pixel_values); };
}

Description read_qwen3_vl_tower(Fields& fields) {
  Description d;
  d.hidden = fields.size("hidden_size", 1152);
  d.projection = fields.size("out_hidden_size", 3584);
  d.ffn = fields.size("intermediate_size", 4304);
  d.activation = read_activation(fields, "hidden_act", "gelu_pytorch_tanh");
  d.grid = fields.size("num_position_embeddings", 2304);
  read_patches(fields, d, 27, 16);
  read_deep_layers(fields, d);
  return d;
}

}  // namespace peakmem
