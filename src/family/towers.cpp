#include "family/towers.h"

#include <algorithm>
#include <array>

#include "family/clip.h"
#include "family/qwen2_vl.h"
#include "model/part.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// What encodes images, by its `model_type`.
struct TowerRow {
  std::string_view family;
  Description (*read)(Fields& fields);
  TowerCall (*make)(const Builder& b);
  Description (*read_pooling)(Fields& fields) = nullptr;  // with a head that pools; null where there is none
};
constexpr std::array kTowers =
    std::to_array<TowerRow>({{"siglip_vision_model", read_siglip_tower, make_siglip_tower, read_pooling_siglip_tower},
                             {"clip_vision_model", read_clip_tower, make_clip_tower},
                             {"qwen2_vl_vision", read_qwen2_vl_tower, make_qwen2_vl_tower},
                             {"qwen2_5_vl_vision", read_qwen2_5_vl_tower, make_qwen2_5_vl_tower},
                             {"qwen3_vl_vision", read_qwen3_vl_tower, make_qwen3_vl_tower}});

const TowerRow* find_tower(std::string_view family) {
  for (const TowerRow& row : kTowers)
    if (row.family == family) return &row;
  return nullptr;
}

/// What a part's config may say without changing memory.
void ignore_common(Fields& fields) {
  fields.ignore({"model_type", "architectures", "_name_or_path", "torch_dtype", "dtype", "initializer_range",
                 "layer_norm_eps", "rms_norm_eps", "use_cache", "pad_token_id", "bos_token_id", "eos_token_id",
                 "_attn_implementation_autoset", "transformers_version"});
  if (fields.has("quantization_config")) fields.fail("quantization_config", "is not modelled", "remove it");
}

/// What is wrong or unknown in a part's config, by its place in the whole.
void take_over(Fields& fields, const Fields& part, const char* name) {
  if (part.error())
    fields.fail(std::string(name) + "." + part.error()->field, part.error()->problem, part.error()->hint);
  fields.note_unknown(name, part.unknown());
}

const Value* part_config(Fields& fields, const char* name) {
  const Value* config = fields.find(name);
  if (config != nullptr && config->kind == Value::Kind::kObject) return config;
  fields.fail(name, "is missing", "a config of text and images has one for either part");
  return nullptr;
}

}  // namespace

Description read_part(Fields& fields, const char* name, Description (*read)(Fields& part)) {
  const Value* config = part_config(fields, name);
  if (config == nullptr) return {};
  Fields part(*config);
  ignore_common(part);
  Description d = read(part);
  take_over(fields, part, name);
  return d;
}

Description read_text_part(Fields& fields, std::initializer_list<std::string_view> families) {
  const Value* config = part_config(fields, kTextConfig);
  if (config == nullptr) return {};
  Fields part(*config);
  const std::string type = part.text("model_type", *families.begin());
  const Family* family =
      std::find(families.begin(), families.end(), type) == families.end() ? nullptr : find_family(type);
  if (family == nullptr) {
    fields.fail("text_config.model_type", in_quotes(type) + " is not modelled beside images",
                "known: " + list_of(std::vector<std::string_view>(families)));
    return {};
  }
  ignore_common(part);
  Description d = family->read(part);
  d.text_family = type;
  take_over(fields, part, kTextConfig);
  return d;
}

void read_tower(Fields& fields, Description& d, const Sight& sight, std::string_view otherwise) {
  const Value* config = part_config(fields, kVisionConfig);
  if (config == nullptr) return;
  Fields part(*config);
  std::string type = part.text("model_type", otherwise);
  if (type + "_vision" == otherwise) type = otherwise;  // as older configs of Qwen2-VL have it
  const TowerRow* row = find_tower(type);
  if (row == nullptr)
    return fields.fail(
        "vision_config.model_type", in_quotes(type) + " is not modelled",
        "known: clip_vision_model, siglip_vision_model, qwen2_vl_vision, qwen2_5_vl_vision, qwen3_vl_vision");
  ignore_common(part);
  Description tower = sight.pools && row->read_pooling != nullptr ? row->read_pooling(part) : row->read(part);
  tower.family = type;
  if (tower.runs.empty()) tower.runs = {{tower.layers, false}};
  take_over(fields, part, kVisionConfig);
  d.tower = std::make_shared<const Description>(std::move(tower));
  d.sight = &sight;
}

TowerCall make_tower(const Builder& b, const char* name) {
  const Description& d = *b.description.tower;
  const auto part = std::make_shared<Part>(b, d, b.dims.images, d.positions);
  const Scope scope(b.tape, name);
  const TowerCall tower = find_tower(d.family)->make(part->builder());
  return [part, tower, &tape = b.tape, name](const Tensor& pixel_values) {
    part->renew();
    const Scope running(tape, name);
    return tower(pixel_values);
  };
}

}  // namespace peakmem
