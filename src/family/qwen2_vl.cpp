// Qwen2-VL, Qwen2.5-VL and Qwen3-VL: Qwen2 or Qwen3 whose tokens have places in time, height and width, shown images of
// any size (transformers 5.23, modeling_*.py of models/qwen2_vl, models/qwen2_5_vl and models/qwen3_vl).
#include "family/qwen2_vl.h"

#include <algorithm>
#include <memory>

#include "family/llama.h"
#include "family/qwen.h"
#include "trace/parts.h"

namespace peakmem {
namespace {

/// Qwen2VLRotaryEmbedding: angles of three places, of which every feature takes one; a sequence has its own.
/// `in_place`: those of height and width are written among those of time (Qwen3VLTextRotaryEmbedding).
template <bool in_place>
class PlacedRotary {
 public:
  explicit PlacedRotary(const Builder& builder) : b_(builder), frequencies_(b_) {}
  Rotation operator()(const Tensor& hidden_states, const Tensor& /*position_ids*/) const {
    const Scope scope(b_.tape, "rotary_emb");
    const NoGrad no_grad(b_.tape);
    Tape& tape = b_.tape;
    Tensor numbers = tape.make({3, b_.dims.batch, b_.dims.seq, 1}, DType::kFloat32, "_to_copy");
    const Tensor freqs = tape.make({3, b_.dims.batch, b_.dims.seq, half()}, DType::kFloat32, "mul");
    numbers.reset();
    Tensor cos = mul_scalar(tape.make(freqs.shape(), DType::kFloat32, "cos"));
    Tensor sin = mul_scalar(tape.make(freqs.shape(), DType::kFloat32, "sin"));
    sin = recomposed();
    cos = recomposed();
    const Tensor cos_cast = to(cos, hidden_states.dtype());
    return {Tensor(), cos_cast, to(sin, hidden_states.dtype())};
  }

 private:
  Expr half() const { return exact_div(b_.dims.rotary, 2); }
  /// recomposition_frequencies
  Tensor recomposed() const {
    const Shape halves = {b_.dims.batch, b_.dims.seq, half()};
    const Tensor freq = in_place ? Tensor() : b_.tape.make(halves, DType::kFloat32, "cat");
    return b_.tape.make({b_.dims.batch, b_.dims.seq, b_.dims.rotary}, DType::kFloat32, "cat");
  }

  const Builder& b_;
  RotaryEmbedding frequencies_;
};

struct Qwen2VlParts : LlamaParts {
  using Rotary = PlacedRotary<false>;
};

struct Qwen3VlParts : LlamaParts {
  using Rotary = PlacedRotary<true>;
  using Layer = PreNormLayer<NormedAttention>;
};

/// torch.split by images.
std::vector<Tensor> by_images(const Builder& b, const Tensor& features) {
  const auto count = static_cast<size_t>(b.dims.images * b.dims.batch.number());
  return split_in_parts(features, 0, std::vector<int64_t>(count, b.description.image_tokens));
}

/// Qwen2VLModel.get_image_features, and what its forward joins of it.
FeatureCall make_features(const Builder& b) {
  const TowerCall tower = make_tower(b, "visual");
  return [tower, &b](const Tensor& images) -> ImageFeatures {
    const Tensor pixel_values = to(images, b.structure.weights);
    const TowerOutput seen = tower(pixel_values);
    const Tensor sizes = b.tape.make({b.dims.images * b.dims.batch}, DType::kInt64, "floor_divide");
    const std::vector<Tensor> each = by_images(b, seen.selected);
    std::vector<std::vector<Tensor>> deep;
    for (const Tensor& feature : seen.deep) deep.push_back(by_images(b, feature));
    return {{seen.last_hidden_state, seen.selected}, cat_parts(each, 0), std::move(deep)};
  };
}

/// get_rope_index: where every token is in time, height and width.
TextInputs make_inputs(const Builder& b, const Tensor& /*inputs_embeds*/) {
  const NoGrad no_grad(b.tape);
  TextInputs inputs;
  inputs.position_ids = b.tape.make({3, b.dims.batch, b.dims.seq}, DType::kInt64, "zeros");
  return inputs;
}

constexpr Sight sight_of_any_size() {
  Sight sight = {make_features, make_inputs, true};
  sight.any_size = true;
  return sight;
}
constexpr Sight kQwenSight = sight_of_any_size();

/// mrope_section: how many features take which place, half a head's in all.
void check_sections(Fields& fields, const Description& d) {
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    const Value* parameters = fields.find(name);
    const Value* section = parameters == nullptr ? nullptr : parameters->find("mrope_section");
    if (section == nullptr) continue;
    int64_t features = 0;
    for (const Value& part : section->items) features += part.integer;
    if (features != d.head_dim / 2)
      fields.fail(name, "mrope_section adds up to " + std::to_string(features) + ", half a head has " +
                            std::to_string(d.head_dim / 2) + " features");
  }
}

Description read_text(Fields& fields) {
  Description d = read_decoder(fields, 152064, 8192, 29568, 32768);
  d.kv_heads = read_kv_heads(fields, d.heads, 8);
  d.qkv_bias = true;
  fields.refuse_flag("use_sliding_window", false, "gives upper layers a window");
  check_sections(fields, d);
  fields.ignore({"sliding_window", "max_window_layers", "layer_types", "image_token_id", "video_token_id",
                 "vision_start_token_id", "vision_end_token_id", "vision_token_id"});
  return d;
}

Description read_qwen3_text(Fields& fields) {
  Description d = read_decoder(fields, 151936, 4096, 22016, 128000);
  d.head_dim = fields.size("head_dim", 128);  // a size of its own, not derived
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.kv_heads = read_kv_heads(fields, d.heads, 32);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  check_sections(fields, d);
  return d;
}

/// A config of the hub has what is of the text beside `vision_config`, a newer one in a part of its own.
Description read_either_text(Fields& fields) {
  return fields.has(kTextConfig) ? read_part(fields, kTextConfig, read_text) : read_text(fields);
}

Description read_seeing(Fields& fields, Description d, const char* tower) {
  read_tower(fields, d, kQwenSight, tower);
  d.tied = fields.flag("tie_word_embeddings", false) || d.tied;
  if (d.tower && d.tower->projection != d.hidden)
    fields.fail("vision_config", "gives tokens of " + std::to_string(d.tower->projection) + " features, the text has " +
                                     std::to_string(d.hidden));
  fields.ignore(
      {"image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id", "vision_token_id"});
  return d;
}

Description read_qwen2_vl(Fields& fields) { return read_seeing(fields, read_either_text(fields), "qwen2_vl_vision"); }
Description read_qwen2_5_vl(Fields& fields) {
  return read_seeing(fields, read_either_text(fields), "qwen2_5_vl_vision");
}

/// Behind its first layers features of the image are added: each is a run of its own, and so is the next one.
Description read_qwen3_vl(Fields& fields) {
  Description d = read_seeing(fields, read_part(fields, kTextConfig, read_qwen3_text), "qwen3_vl_vision");
  const int64_t told = d.tower ? static_cast<int64_t>(d.tower->deep_layers.size()) + 1 : 0;
  for (int64_t layer = 0; layer < std::min(told, d.layers); ++layer) d.runs.push_back({1, false});
  if (d.layers > told) d.runs.push_back({d.layers - told, false});
  return d;
}

constexpr std::array kTasks = {Task::kImageTextToText};

}  // namespace

const Family kQwen2Vl = {"qwen2_vl", "Qwen2-VL",    "transformers 5.23, models/qwen2_vl", Task::kImageTextToText,
                         kTasks,     read_qwen2_vl, build_decoder<Qwen2VlParts>,          &kSizesOfParts};
const Family kQwen25Vl = {"qwen2_5_vl",
                          "Qwen2.5-VL",
                          "transformers 5.23, models/qwen2_5_vl",
                          Task::kImageTextToText,
                          kTasks,
                          read_qwen2_5_vl,
                          build_decoder<Qwen2VlParts>,
                          &kSizesOfParts};
const Family kQwen3Vl = {"qwen3_vl", "Qwen3-VL",    "transformers 5.23, models/qwen3_vl", Task::kImageTextToText,
                         kTasks,     read_qwen3_vl, build_decoder<Qwen3VlParts>,          &kSizesOfParts};

}  // namespace peakmem
