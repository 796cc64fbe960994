// Qwen2 and 2.5: LLaMA with biases on q, k, v and windows on the upper layers
// (transformers 5.23, models/qwen2/modeling_qwen2.py).
#include "model/family.h"

namespace peakmem {
namespace {

Description read(Fields& fields) {
  Description d = read_rotary_decoder(fields, 151936, 4096, 22016, 32768);
  d.kv_heads = fields.has("num_key_value_heads") || fields.find("num_key_value_heads") == nullptr
                   ? fields.size("num_key_value_heads", 32)
                   : d.heads;
  d.qkv_bias = true;
  read_qwen_windows(fields, d);
  fields.ignore({"attention_bias", "mlp_bias", "use_mrope"});  // not read by the model
  return d;
}

/// Layers of one kind in a row become a run.
void append(Description& d, bool windowed) {
  if (d.runs.empty() || d.runs.back().windowed != windowed) d.runs.push_back({0, windowed});
  ++d.runs.back().layers;
}

}  // namespace

void read_layer_types(Fields& fields, Description& d, const std::vector<std::string>& types) {
  if (static_cast<int64_t>(types.size()) != d.layers)
    return fields.fail("layer_types",
                       "has " + std::to_string(types.size()) + " entries for " + std::to_string(d.layers) + " layers");
  for (const std::string& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      return fields.fail("layer_types", "\"" + type.substr(0, 40) + "\" is not known",
                         "known: full_attention, sliding_attention");
    append(d, type == "sliding_attention");
  }
}

void read_qwen_windows(Fields& fields, Description& d) {
  d.maps_masks = true;
  const bool uses_window = fields.flag("use_sliding_window", false);
  const bool given = fields.find("sliding_window") == nullptr || fields.has("sliding_window");
  const bool windowed = uses_window && given;
  const int64_t full_layers = fields.has("max_window_layers") ? fields.find("max_window_layers")->integer : 28;
  if (full_layers < 0) fields.fail("max_window_layers", "must not be negative");
  if (windowed) d.window = fields.size("sliding_window", 4096);
  const std::vector<std::string> types = fields.texts("layer_types");
  if (!types.empty()) {
    read_layer_types(fields, d, types);
    for (const LayerRun& run : d.runs)
      if (run.windowed && !windowed) fields.fail("layer_types", "asks for windows, but use_sliding_window is false");
    return;
  }
  const int64_t full = !windowed || full_layers > d.layers ? d.layers : full_layers;
  if (full > 0) d.runs.push_back({full, false});
  if (d.layers > full) d.runs.push_back({d.layers - full, true});
}

const Family kQwen2 = {
    "qwen2", "Qwen2 and Qwen2.5", "transformers 5.23, models/qwen2", Task::kCausalLm, rotary_decoder_tasks(),
    read,    build_rotary_decoder};

}  // namespace peakmem
