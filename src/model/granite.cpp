// Granite: LLaMA with multipliers: over the embeddings, what a layer adds to the residual stream, the attention scores
// and, as a divisor, the logits (transformers 5.23, models/granite/modeling_granite.py).
#include "model/llama.h"

namespace peakmem {
namespace {

/// GraniteDecoderLayer.
struct ScaledLayer : PreNormLayer<> {
  using PreNormLayer<>::PreNormLayer;

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    Tensor residual = input;
    Tensor hidden_states = input_layernorm(input);
    AttentionOutput attention = self_attn(hidden_states, rotation, mask);
    hidden_states = std::move(attention.output);
    hidden_states = add(residual, mul_scalar(hidden_states));
    residual = hidden_states;
    hidden_states = post_attention_layernorm(hidden_states);
    hidden_states = mlp(hidden_states);
    hidden_states = add(residual, mul_scalar(hidden_states));
    return hidden_states;
  }
};

struct GraniteParts : LlamaParts {
  using Layer = ScaledLayer;
  static Tensor scale_embeddings(Tensor inputs_embeds) { return mul_scalar(std::move(inputs_embeds)); }
  static Tensor scale_logits(const Builder& /*b*/, Tensor logits) { return div_scalar(std::move(logits)); }
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 32000, 4096, 11008, 2048);
  d.kv_heads = fields.optional_size("num_key_value_heads").value_or(d.heads);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.mlp_bias = fields.flag("mlp_bias", false);
  // Numbers to multiply by: whatever they are, the product is made.
  fields.ignore({"embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"});
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kFeatureExtraction};

}  // namespace

const Family kGranite = {"granite", "Granite", "transformers 5.23, models/granite", Task::kCausalLm,
                         kTasks,    read,      build_decoder<GraniteParts>};

}  // namespace peakmem
