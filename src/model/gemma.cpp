// Gemma: LLaMA with a scaled embedding and norms that multiply by 1 + weight; Gemma 2 adds norms behind attention and
// MLP, capped scores and logits, and a window in every second layer
// (transformers 5.23, models/gemma/modeling_gemma.py and models/gemma2/modeling_gemma2.py).
#include "model/family.h"

namespace peakmem {
namespace {

/// Sizes by default, which differ between the two.
struct Defaults {
  int64_t hidden, ffn, layers, heads, kv_heads;
};

Description read_common(Fields& fields, const Defaults& otherwise) {
  Description d = read_rotary_decoder(fields, 256000, otherwise.hidden, otherwise.ffn, 8192);
  d.layers = fields.size("num_hidden_layers", otherwise.layers);
  d.heads = fields.size("num_attention_heads", otherwise.heads);
  d.kv_heads = fields.size("num_key_value_heads", otherwise.kv_heads);
  d.head_dim = fields.size("head_dim", 256);  // a size of its own, not derived
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.tied = fields.flag("tie_word_embeddings", true);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.norm_adds_one = d.scales_embedding = true;
  fields.refuse_flag("use_bidirectional_attention", false, "turns the causal mask off");
  return d;
}

Description read_gemma(Fields& fields) {
  Description d = read_common(fields, {3072, 24576, 28, 16, 16});
  d.activation = read_activation(fields, "hidden_act", "gelu_pytorch_tanh");
  fields.ignore({"hidden_activation"});  // of older configs, not read by the model
  return d;
}

/// Windowed and full by turns, the windowed first: pairs, and a windowed layer if one is left.
void alternate(Description& d) {
  if (d.layers > 1) d.runs.push_back({d.layers / 2 * 2, true, true});
  if (d.layers % 2 == 1) d.runs.push_back({1, true});
}

bool alternate_as_usual(const std::vector<std::string>& types) {
  for (size_t i = 0; i < types.size(); ++i)
    if ((types[i] == "sliding_attention") != (i % 2 == 0)) return false;
  return true;
}

Description read_gemma2(Fields& fields) {
  Description d = read_common(fields, {2304, 9216, 26, 8, 4});
  d.activation = read_activation(fields, "hidden_activation", "gelu_pytorch_tanh");
  d.norms_outputs = d.maps_masks = d.maps_windowed_masks = true;
  const auto capped = [&](const char* name) {
    return fields.find(name) == nullptr || fields.has(name);
  };  // null is off
  d.caps_attention = capped("attn_logit_softcapping");
  d.caps_logits = capped("final_logit_softcapping");
  d.eager_only = true;
  d.window = fields.size("sliding_window", 4096);
  const std::vector<std::string> types = fields.texts("layer_types");
  if (!types.empty()) read_layer_types(fields, d, types);
  if (alternate_as_usual(types)) {
    d.runs.clear();
    alternate(d);
  }
  fields.ignore({"query_pre_attn_scalar", "hidden_act", "cache_implementation"});  // change no memory
  if (d.hidden % d.heads != 0)
    fields.fail("num_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  return d;
}

}  // namespace

const Family kGemma = {"gemma",
                       "Gemma",
                       "transformers 5.23, models/gemma",
                       Task::kCausalLm,
                       rotary_decoder_tasks(),
                       read_gemma,
                       build_rotary_decoder};
const Family kGemma2 = {
    "gemma2",    "Gemma 2",           "transformers 5.23, models/gemma2", Task::kCausalLm, rotary_decoder_tasks(),
    read_gemma2, build_rotary_decoder};

}  // namespace peakmem
