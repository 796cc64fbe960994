// Mixtral: Mistral with a mixture of experts in every MLP (transformers 5.23, models/mixtral/modeling_mixtral.py;
// of 4.48, whose experts are modules of their own).
#include "model/expert_list.h"
#include "model/experts.h"
#include "model/llama.h"

namespace peakmem {
namespace {

struct MixtralParts : LlamaParts {
  using Layer = PreNormLayer<SelfAttention, SparseMoe>;
};

struct MixtralParts448 : LlamaParts {
  using Layer = PreNormLayer<SelfAttention, ExpertList>;
};

std::unique_ptr<Model> build(const Builder& b) {
  const bool lists = b.structure.transformers <= Transformers::kV448;
  return lists ? build_decoder<MixtralParts448>(b) : build_decoder<MixtralParts>(b);
}

Description read(Fields& fields) {
  Description d = read_decoder(fields, 32000, 4096, 14336, 131072);
  d.kv_heads = read_kv_heads(fields, d.heads, 8);
  d.experts = fields.size("num_local_experts", 8, "num_experts");
  d.experts_per_token = fields.size("num_experts_per_tok", 2);
  if (d.experts_per_token > d.experts)
    fields.fail("num_experts_per_tok",
                "is " + std::to_string(d.experts_per_token) + " of " + std::to_string(d.experts) + " experts");
  const bool windowed = fields.has("sliding_window");
  if (windowed) d.window = fields.size("sliding_window", 4096);
  d.runs = {{d.layers, windowed}};
  fields.refuse_flag("output_router_logits", false, "keeps every layer's router logits for the auxiliary loss");
  if (fields.has("router_jitter_noise") && fields.find("router_jitter_noise")->real != 0)
    fields.fail("router_jitter_noise", "is not modelled", "set it to 0");
  fields.ignore({"router_aux_loss_coef", "router_jitter_noise", "attention_bias", "mlp_bias"});
  return d;
}

}  // namespace

const Family kMixtral = {"mixtral", "Mixtral", "transformers 5.23, models/mixtral", Task::kCausalLm, decoder_tasks(),
                         read,      build};

}  // namespace peakmem
