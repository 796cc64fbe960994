// Qwen2 and 2.5: LLaMA with biases on q, k, v and windows on the upper layers; Qwen3: a norm over each head of q and k
// instead (transformers 5.23, models/qwen2/modeling_qwen2.py and models/qwen3/modeling_qwen3.py).
#include "family/qwen.h"

namespace peakmem {

NormedAttention::NormedAttention(const Builder& builder)
    : SelfAttention(builder), q_norm(b, "q_norm", b.dims.head_dim), k_norm(b, "k_norm", b.dims.head_dim) {}

AttentionOutput NormedAttention::operator()(const Tensor& hidden_states, const Rotation& rotation,
                                            const Tensor& mask) const {
  const Scope scope(b.tape, "self_attn");
  const Dims& d = b.dims;
  Tensor query = transpose(q_norm(split_dim(q_proj(hidden_states), 2, d.heads, d.head_dim)), 1, 2);
  Tensor key = transpose(k_norm(split_dim(k_proj(hidden_states), 2, d.kv_heads, d.head_dim)), 1, 2);
  Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
  apply_rotary(b, query, key, rotation);
  return finish(std::move(query), std::move(key), std::move(value), mask);
}

namespace {

struct Qwen3Parts : LlamaParts {
  using Layer = PreNormLayer<NormedAttention>;
};

/// use_sliding_window, sliding_window, max_window_layers, layer_types.
void read_windows(Fields& fields, Description& d) {
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

Description read_qwen2(Fields& fields) {
  Description d = read_decoder(fields, 151936, 4096, 22016, 32768);
  d.kv_heads = read_kv_heads(fields, d.heads, 32);
  d.qkv_bias = true;
  read_windows(fields, d);
  fields.ignore({"attention_bias", "mlp_bias", "use_mrope"});  // not read by the model
  return d;
}

Description read_qwen3(Fields& fields) {
  Description d = read_decoder(fields, 151936, 4096, 22016, 32768);
  d.head_dim = fields.size("head_dim", 128);  // a size of its own, not derived
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.kv_heads = read_kv_heads(fields, d.heads, 32);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  read_windows(fields, d);
  fields.ignore({"mlp_bias"});
  return d;
}

}  // namespace

const Family kQwen2 = {"qwen2",
                       "Qwen2 and Qwen2.5",
                       "transformers 5.23, models/qwen2",
                       Task::kCausalLm,
                       decoder_tasks(DecoderHeads::kAnswers),
                       read_qwen2,
                       build_decoder<LlamaParts>};
const Family kQwen3 = {"qwen3",
                       "Qwen3",
                       "transformers 5.23, models/qwen3",
                       Task::kCausalLm,
                       decoder_tasks(DecoderHeads::kAnswers),
                       read_qwen3,
                       build_decoder<Qwen3Parts>};

}  // namespace peakmem
