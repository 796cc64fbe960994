// SmolLM3: LLaMA, but every fourth layer turns nothing (transformers 5.23, models/smollm3/modeling_smollm3.py).
#include "family/llama.h"

namespace peakmem {
namespace {

/// The other kind of layer, which alone may have a window, has no rotary embedding.
struct PartlyTurned : RotaryEmbedding {
  using RotaryEmbedding::RotaryEmbedding;
  Rotations operator()(const Tensor& hidden_states, const Tensor& position_ids) const {
    Rotations rotations = in_dtype(hidden_states.dtype(), position_ids);
    rotations.windowed.turns = false;
    return rotations;
  }
};

struct SmolLm3Parts : LlamaParts {
  using Rotary = PartlyTurned;
};

/// no_rope_layers: 0 for a layer that turns nothing; by default every no_rope_layer_interval-th one.
void read_turned(Fields& fields, Description& d) {
  const int64_t interval = fields.size("no_rope_layer_interval", 4);
  std::vector<std::string> kinds;
  bool is_usual = true;
  if (fields.has("no_rope_layers")) {
    for (const Value& item : fields.find("no_rope_layers")->items) {
      const bool turned = item.integer != 0;
      kinds.emplace_back(turned ? "full_attention" : "sliding_attention");
      is_usual = is_usual && turned == (static_cast<int64_t>(kinds.size()) % interval != 0);
    }
    if (static_cast<int64_t>(kinds.size()) != d.layers)
      return fields.fail("no_rope_layers", "has " + std::to_string(kinds.size()) + " entries for " +
                                               std::to_string(d.layers) + " layers");
  }
  if (!is_usual) return read_layer_types(fields, d, kinds);
  alternate(d, interval);
  for (LayerRun& run : d.runs) run.windowed = !run.windowed;
}

/// Windows are for layers that turn nothing; a list that says otherwise is another model.
void check_layer_types(Fields& fields, const Description& d) {
  for (const std::string& type : fields.texts("layer_types"))
    if ((type == "sliding_attention") != (d.window > 0) && (d.window > 0 || type != "full_attention"))
      fields.fail("layer_types", "is not modelled where windows are not those of no_rope_layers", "leave it out");
}

Description read(Fields& fields) {
  Description d = read_decoder(fields, 128256, 2048, 11008, 32768);
  d.layers = fields.size("num_hidden_layers", 36);
  d.heads = fields.size("num_attention_heads", 16);
  d.kv_heads = read_kv_heads(fields, d.heads, 4);
  d.head_dim = fields.optional_size("head_dim").value_or(d.hidden / d.heads);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.tied = fields.flag("tie_word_embeddings", true);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.mlp_bias = fields.flag("mlp_bias", false);
  d.has_padding_token = d.maps_masks = true;
  if (fields.flag("use_sliding_window", false) && fields.has("sliding_window"))
    d.window = fields.size("sliding_window", 4096);
  read_turned(fields, d);
  check_layer_types(fields, d);
  fields.ignore({"sliding_window", "max_window_layers", "pretraining_tp"});
  return d;
}

}  // namespace

const Family kSmolLm3 = {"smollm3",
                         "SmolLM3",
                         "transformers 5.23, models/smollm3",
                         Task::kCausalLm,
                         decoder_tasks(DecoderHeads::kAnswers),
                         read,
                         build_decoder<SmolLm3Parts>};

}  // namespace peakmem
