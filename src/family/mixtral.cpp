// Mixtral: Mistral with a mixture of experts in every MLP (transformers 5.23, models/mixtral/modeling_mixtral.py;
// of 4.48, whose experts are modules of their own).
#include "family/expert_list.h"
#include "family/llama.h"
#include "model/experts.h"

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
  read_experts(fields, d, 8, 2);
  const bool windowed = fields.has("sliding_window");
  if (windowed) d.window = fields.size("sliding_window", 4096);
  d.runs = {{d.layers, windowed}};
  if (fields.has("router_jitter_noise") && fields.find("router_jitter_noise")->real != 0)
    fields.fail("router_jitter_noise", "is not modelled", "set it to 0");
  fields.ignore({"router_jitter_noise", "attention_bias", "mlp_bias"});
  return d;
}

}  // namespace

const Family kMixtral = {
    "mixtral", "Mixtral", "transformers 5.23, models/mixtral", Task::kCausalLm, decoder_tasks(DecoderHeads::kAnswers),
    read,      build};

}  // namespace peakmem
