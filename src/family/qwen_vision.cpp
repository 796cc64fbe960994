#include "family/qwen_vision.h"

#include <algorithm>
#include <memory>

#include "family/llama.h"
#include "family/vit.h"
#include "trace/image_ops.h"
#include "trace/parts.h"

namespace peakmem {

Stretches stretches(const Builder& b, Lengths lengths, const char* made_by) {
  const Shape ends = {static_cast<int64_t>(lengths.size()) + 1};
  return {std::move(lengths), b.tape.make(ends, DType::kInt32, made_by)};
}

int64_t images_of(const Builder& b) { return b.dims.batch.number(); }

Lengths whole_images(const Builder& b) { return Lengths(static_cast<size_t>(images_of(b)), b.description.positions); }

namespace {

/// get_vision_window_index: the windows of each image, those at its edges smaller.
Lengths windows(const Builder& b) {
  const Description& d = b.description;
  const auto [rows, columns] = grid_of(d.image_tokens);
  Lengths of_one;
  for (int64_t row = 0; row < rows; row += d.window)
    for (int64_t column = 0; column < columns; column += d.window)
      of_one.push_back(std::min(d.window, rows - row) * std::min(d.window, columns - column) * d.merge * d.merge);
  Lengths all;
  for (int64_t i = 0; i < images_of(b); ++i) all.insert(all.end(), of_one.begin(), of_one.end());
  return all;
}

}  // namespace

FilmPatches::FilmPatches(const Builder& builder, bool has_bias) : b(builder) {
  const Scope scope(b.tape, "proj");
  const Description& d = b.description;
  weight = b.parameter({b.dims.hidden, d.channels, d.patch_frames, d.patch, d.patch}, "weight");
  if (has_bias) bias = b.parameter({b.dims.hidden}, "bias");
}

Tensor FilmPatches::operator()(const Tensor& pixel_values) const {
  const Scope scope(b.tape, "patch_embed");
  const Description& d = b.description;
  Tensor hidden_states = split_dim(pixel_values, 1, d.channels, d.patch_frames * d.patch * d.patch);
  hidden_states = split_dim(std::move(hidden_states), 2, d.patch_frames, d.patch * d.patch);
  hidden_states = split_dim(std::move(hidden_states), 3, d.patch, d.patch);
  const Shape one_each = {hidden_states.size(0), b.dims.hidden, 1, 1, 1};
  hidden_states = convolution(to(std::move(hidden_states), weight.dtype()), weight, bias, one_each);
  return merge_dims(std::move(hidden_states), 1, 4);
}

Tensor places_of_patches(const Builder& b) {
  Tape& tape = b.tape;
  Tensor size = tape.make({1}, DType::kInt64, "_to_copy");
  std::vector<Tensor> position_ids;
  for (int64_t i = 0; i < images_of(b); ++i) {
    const Shape patches = {b.description.positions, 2};
    const Tensor once = tape.make(patches, DType::kInt64, "stack");
    position_ids.push_back(tape.make(patches, DType::kInt64, "repeat"));
  }
  return tape.make({b.dims.batch * b.dims.seq, 2}, DType::kInt64, "cat");
}

Rotation AxialRotary::operator()() const {
  const Scope scope(b_.tape, "rotary_pos_emb");
  const NoGrad no_grad(b_.tape);
  Tape& tape = b_.tape;
  const Expr patches = b_.dims.batch * b_.dims.seq;
  Tensor numbers = tape.make({patches, 2, 1}, DType::kFloat32, "_to_copy");
  const Tensor freqs = tape.make({patches, 2, exact_div(b_.dims.rotary, 2)}, DType::kFloat32, "mul");
  numbers.reset();
  Tensor cos = mul_scalar(tape.make(freqs.shape(), DType::kFloat32, "cos"));
  Tensor sin = mul_scalar(tape.make(freqs.shape(), DType::kFloat32, "sin"));
  cos = recomposed(patches);
  sin = recomposed(patches);
  return {Tensor(), cos, sin};
}

Tensor AxialRotary::recomposed(Expr patches) const {
  const Tensor freq_hw = b_.tape.make({patches, b_.dims.rotary}, DType::kFloat32, "cat");
  return b_.tape.make({patches, 2 * b_.dims.rotary}, DType::kFloat32, "cat");
}

namespace {

/// apply_rotary_pos_emb_vision of [N, heads, D], in fp32 whatever they are.
void turn(const Builder& b, Tensor& query, Tensor& key, const Rotation& rotation) {
  const Scope scope(b.tape, "rotary");
  const DType original_dtype = query.dtype();
  const Tensor q = to(query, DType::kFloat32);
  const Tensor k = to(key, DType::kFloat32);
  const Tensor cos = to(unsqueeze(rotation.cos, 1), DType::kFloat32);
  const Tensor sin = to(unsqueeze(rotation.sin, 1), DType::kFloat32);
  Tensor q_embed = rotate(q, cos, sin);
  Tensor k_embed = rotate(k, cos, sin);
  q_embed = to(std::move(q_embed), original_dtype);
  k_embed = to(std::move(k_embed), original_dtype);
  query = std::move(q_embed);
  key = std::move(k_embed);
}

}  // namespace

VisionAttention::VisionAttention(const Builder& builder)
    : b(builder),
      qkv(b, "qkv", b.dims.hidden, 3 * b.dims.hidden, true),
      proj(b, "proj", b.dims.hidden, b.dims.hidden, true) {}

Tensor VisionAttention::operator()(const Tensor& hidden_states, const Rotation& rotation,
                                   const Lengths& lengths) const {
  const Scope scope(b.tape, "attn");
  Tensor joined = split_dim(split_dim(qkv(hidden_states), 1, 3, b.dims.hidden), 2, b.dims.heads, b.dims.head_dim);
  std::array<Tensor, 3> states = split_in_three(transpose(std::move(joined), 0, 1), 0);
  for (Tensor& each : states) each = merge_dims(std::move(each), 0, 2);
  turn(b, states[0], states[1], rotation);
  for (Tensor& each : states) each = unsqueeze(transpose(std::move(each), 0, 1), 0);
  const Tensor sizes = b.tape.make({static_cast<int64_t>(lengths.size())}, DType::kInt32, "sub");
  std::array<std::vector<Tensor>, 3> splits;
  for (size_t i = 0; i < 3; ++i) splits[i] = split_in_parts(states[i], 2, lengths);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < lengths.size(); ++i)
    outputs.push_back(
        attend(splits[0][i], splits[1][i], splits[2][i], {b, 1, Tensor(), false, SoftmaxDtype::kFullPrecision}).output);
  const Tensor attn_output = cat_parts(outputs, 1);
  return proj(merge_dims(merge_dims(attn_output, 0, 2), 1, 2));
}

namespace {

/// PatchMerger: what stands side by side becomes one token.
template <class Norm>
struct Merger {
  const Builder& b;
  Norm ln_q;
  Linear first, second;

  explicit Merger(const Builder& builder)
      : b(builder),
        ln_q(b, "ln_q", b.dims.hidden),
        first(b, "mlp.0", width(), width(), true),
        second(b, "mlp.2", width(), b.description.projection, true) {}

  Tensor operator()(const Tensor& x) const {
    const Scope scope(b.tape, "merger");
    const Expr side_by_side = b.description.merge * b.description.merge;
    const Expr tokens = exact_div(x.size(0), side_by_side);
    Tensor merged = merge_dims(split_dim(ln_q(x), 0, tokens, side_by_side), 1, 2);
    merged = gelu(first(std::move(merged)));
    return second(std::move(merged));
  }

 private:
  Expr width() const { return b.dims.hidden * Expr(b.description.merge * b.description.merge); }
};

/// Either vision transformer. `windowed`: patches are put in the order of their windows, and back.
template <class Norm, class FeedForward>
class VisionTransformer {
 public:
  VisionTransformer(const Builder& builder, bool windowed)
      : b_(builder),
        windowed_(windowed),
        patch_embed_(named<FilmPatches>(b_, "patch_embed")),
        rotary_pos_emb_(b_),
        blocks_(b_, b_.description.runs, b_.dims.runs,
                [this](bool of_windows) { return OfKind{named<Layer>(b_, "blocks.*"), of_windows}; }),
        merger_(named<Merger<Norm>>(b_, "merger")) {}

  TowerOutput operator()(const Tensor& pixel_values) const {
    const Tensor position_ids = places_of_patches(b_);
    const Stretches whole = stretches(b_, whole_images(b_), "constant_pad_nd");
    const Stretches of_windows = windowed_ ? stretches(b_, windows(b_), "unique_consecutive") : Stretches{{}, Tensor()};
    Tensor hidden_states = inputs_embeds(b_, patch_embed_(pixel_values));
    if (windowed_) hidden_states = by_windows(std::move(hidden_states));
    Rotation rotation = rotary_pos_emb_();
    if (windowed_) {
      const Tensor cos = by_windows(rotation.cos);
      rotation = {Tensor(), cos, by_windows(rotation.sin)};
    }
    blocks_.run([&](const OfKind& kind) {
      hidden_states = run_block(b_, kind.layer, hidden_states, rotation, kind.windowed ? of_windows : whole);
    });
    Tensor merged = merger_(hidden_states);
    if (windowed_) merged = in_order(std::move(merged));
    return {merged, hidden_states, Tensor()};
  }

 private:
  using Layer = VisionBlock<Norm, FeedForward>;
  struct OfKind {
    Layer layer;
    bool windowed;
  };

  /// x[window_index], or back; the index is made on the host.
  static Tensor in_order(Tensor rows) {
    const Expr count = rows.size(0);
    return take_rows_by_host(std::move(rows), count);
  }
  /// permute_input_for_window_attn of [N, width].
  Tensor by_windows(Tensor input) const {
    const Expr side_by_side = b_.description.merge * b_.description.merge;
    const Expr tokens = exact_div(input.size(0), side_by_side);
    return merge_dims(in_order(split_dim(std::move(input), 0, tokens, side_by_side)), 0, 2);
  }

  const Builder& b_;
  bool windowed_;
  FilmPatches patch_embed_;
  AxialRotary rotary_pos_emb_;
  Layers<OfKind> blocks_;
  Merger<Norm> merger_;
};

template <class Norm, class FeedForward>
TowerCall make(const Builder& b, bool windowed) {
  const auto tower = std::make_shared<VisionTransformer<Norm, FeedForward>>(b, windowed);
  return [tower](const Tensor& pixel_values) { return (*tower)(pixel_values); };
}

/// fullatt_block_indexes, as layer_types would say it.
std::vector<std::string> kinds_of_layers(Fields& fields, int64_t layers) {
  std::vector<std::string> types(static_cast<size_t>(layers), "sliding_attention");
  std::vector<int64_t> full = {7, 15, 23, 31};
  if (const Value* given = fields.find("fullatt_block_indexes"); given != nullptr) {
    full.clear();
    for (const Value& item : given->items) full.push_back(item.integer);
  }
  for (const int64_t layer : full)
    if (layer >= 0 && layer < layers) types[static_cast<size_t>(layer)] = "full_attention";
  return types;
}

}  // namespace

void read_patches(Fields& fields, Description& d, int64_t layers, int64_t patch) {
  d.layers = fields.size("depth", layers);
  d.heads = d.kv_heads = fields.size("num_heads", 16);
  d.channels = fields.size("in_channels", 3);
  d.patch = fields.size("patch_size", patch);
  d.patch_frames = fields.size("temporal_patch_size", 2);
  d.merge = fields.size("spatial_merge_size", 2);
  d.positions = d.merge * d.merge;
  if (d.hidden % d.heads != 0 || d.hidden / d.heads % 4 != 0)
    fields.fail("num_heads", "must divide the width " + std::to_string(d.hidden) + " into heads of a multiple of 4");
  d.head_dim = d.hidden / d.heads;
  d.rotary = d.head_dim / 2;
  fields.ignore({"rope_parameters", "in_chans", "spatial_patch_size", "tokens_per_second"});  // of films, or not read
}

TowerCall make_qwen2_vl_tower(const Builder& b) { return make<LayerNorm, ImageMlp>(b, false); }
TowerCall make_qwen2_5_vl_tower(const Builder& b) { return make<RmsNorm, Mlp>(b, true); }

Description read_qwen2_vl_tower(Fields& fields) {
  Description d;
  d.hidden = fields.size("embed_dim", 1280);
  d.projection = fields.size("hidden_size", 3584);
  d.ffn = d.hidden * fields.size("mlp_ratio", 4);
  d.activation = read_activation(fields, "hidden_act", "quick_gelu");
  read_patches(fields, d, 32, 14);
  return d;
}

Description read_qwen2_5_vl_tower(Fields& fields) {
  Description d;
  d.hidden = fields.size("hidden_size", 3584);
  d.projection = fields.size("out_hidden_size", 3584);
  d.ffn = fields.size("intermediate_size", 3420);
  d.activation = read_activation(fields, "hidden_act", "silu");
  d.mlp_bias = true;
  read_patches(fields, d, 32, 14);
  d.window = fields.size("window_size", 112) / d.merge / d.patch;
  if (d.window < 1) fields.fail("window_size", "is smaller than the patches of one token");
  read_layer_types(fields, d, kinds_of_layers(fields, d.layers));
  return d;
}

}  // namespace peakmem
