// Granite: LLaMA with multipliers: over the embeddings, what a layer adds to the residual stream, the attention scores
// and, as a divisor, the logits; Granite MoE: with a mixture of experts in every MLP (transformers 5.23,
// models/granite/modeling_granite.py and models/granitemoe/modeling_granitemoe.py).
#include "family/llama.h"
#include "model/experts.h"

namespace peakmem {
namespace {

/// GraniteMoeMoE.
class GraniteMoe : public SparseMoe {
 public:
  explicit GraniteMoe(const Builder& builder) : SparseMoe(builder, First::kRouter, "router"), b_(builder) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b_.tape, "block_sparse_moe");
    const Tensor rows = merge_dims(input, 0, 2);
    const Routing routing = route(rows);
    return split_dim(experts(rows, routing), 0, b_.dims.batch, b_.dims.seq);
  }

 private:
  /// GraniteMoeTopKRouter: a softmax over the chosen ones alone.
  Routing route(const Tensor& hidden_states) const {
    const Scope scope(b_.tape, "router");
    const Tensor logits = to(router_logits(hidden_states), DType::kFloat32);
    auto [values, indices] = topk(logits, b_.dims.experts_per_token);
    Tensor weights = to(softmax(values), hidden_states.dtype());
    return {logits, std::move(weights), indices};
  }

  const Builder& b_;
};

/// GraniteMoeDecoderLayer: the norms come first.
struct GraniteMoeLayer {
  SelfAttention self_attn;
  RmsNorm input_layernorm, post_attention_layernorm;
  GraniteMoe block_sparse_moe;

  explicit GraniteMoeLayer(const Builder& b)
      : self_attn(named<SelfAttention>(b, "self_attn")),
        input_layernorm(b, "input_layernorm", b.dims.hidden),
        post_attention_layernorm(b, "post_attention_layernorm", b.dims.hidden),
        block_sparse_moe(named<GraniteMoe>(b, "block_sparse_moe")) {}

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    Tensor residual = input;
    Tensor hidden_states = input_layernorm(input);
    AttentionOutput attention = self_attn(hidden_states, rotation, mask);
    hidden_states = std::move(attention.output);
    hidden_states = add(residual, mul_scalar(hidden_states));
    residual = hidden_states;
    hidden_states = post_attention_layernorm(hidden_states);
    hidden_states = block_sparse_moe(hidden_states);
    hidden_states = add(residual, mul_scalar(hidden_states));
    return hidden_states;
  }
};

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

struct GraniteMoeParts : GraniteParts {
  using Layer = GraniteMoeLayer;
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

Description read_mixture(Fields& fields) {
  Description d = read(fields);
  read_experts(fields, d, 8, 2);
  fields.ignore({"mlp_bias"});
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kFeatureExtraction};

}  // namespace

const Family kGranite = {"granite", "Granite", "transformers 5.23, models/granite", Task::kCausalLm,
                         kTasks,    read,      build_decoder<GraniteParts>};
const Family kGraniteMoe = {"granitemoe", "Granite MoE", "transformers 5.23, models/granitemoe", Task::kCausalLm,
                            kTasks,       read_mixture,  build_decoder<GraniteMoeParts>};

}  // namespace peakmem
