// Qwen2 and Qwen3 with a mixture of experts in every MLP; Qwen2's has an expert beside them that sees every token
// (transformers 5.23, models/qwen2_moe/modeling_qwen2_moe.py and models/qwen3_moe/modeling_qwen3_moe.py).
#include "family/qwen.h"
#include "model/experts.h"

namespace peakmem {
namespace {

/// Qwen2MoeSparseMoeBlock.
class SharedExpertMoe : public SparseMoe {
 public:
  explicit SharedExpertMoe(const Builder& builder)
      : SparseMoe(builder),
        b_(builder),
        shared_expert_(named<Mlp>(b_, "shared_expert", "shared_expert", b_.dims.shared_ffn)),
        shared_expert_gate_(b_, "shared_expert_gate", b_.dims.hidden, 1, false) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b_.tape, "mlp");
    const Tensor rows = merge_dims(input, 0, 2);
    Tensor shared_output = shared_expert_(rows);
    const Routing routing = route(rows);
    Tensor expert_output = experts(rows, routing);
    shared_output = mul(sigmoid(shared_expert_gate_(rows)), shared_output);
    expert_output = add(expert_output, shared_output);
    return split_dim(expert_output, 0, b_.dims.batch, b_.dims.seq);
  }

 private:
  const Builder& b_;
  Mlp shared_expert_;
  Linear shared_expert_gate_;
};

struct Qwen2MoeParts : LlamaParts {
  using Layer = PreNormLayer<SelfAttention, SharedExpertMoe>;
};

/// Qwen3MoeSparseMoeBlock.
struct ExpertsFirstMoe : SparseMoe {
  explicit ExpertsFirstMoe(const Builder& builder) : SparseMoe(builder, First::kExperts) {}
};

struct Qwen3MoeParts : LlamaParts {
  using Layer = PreNormLayer<NormedAttention, ExpertsFirstMoe>;
};

/// Sizes by default, which differ between the two.
struct Defaults {
  int64_t heads, kv_heads, experts, experts_per_token, expert_ffn;
};

/// Every layer is a mixture; a dense one among them would need the size that is ignored here.
Description read_common(Fields& fields, const Defaults& otherwise) {
  Description d = read_decoder(fields, 151936, 2048, 5632, 32768);
  d.layers = fields.size("num_hidden_layers", 24);
  d.heads = fields.size("num_attention_heads", otherwise.heads);
  d.kv_heads = read_kv_heads(fields, d.heads, otherwise.kv_heads);
  d.head_dim = fields.optional_size("head_dim").value_or(d.hidden / d.heads);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  read_experts(fields, d, otherwise.experts, otherwise.experts_per_token);
  d.ffn = fields.size("moe_intermediate_size", otherwise.expert_ffn);
  d.normalizes_routing = fields.flag("norm_topk_prob", false);
  d.casts_routing = true;
  if (fields.size("decoder_sparse_step", 1) != 1)
    fields.fail("decoder_sparse_step", "is not modelled: dense layers would stand between mixtures", "set it to 1");
  if (const Value* dense = fields.find("mlp_only_layers"); dense != nullptr && !dense->items.empty())
    fields.fail("mlp_only_layers", "is not modelled: dense layers would stand between mixtures", "make it empty");
  fields.ignore({"mlp_bias", "use_mrope"});  // not read by the model
  return d;
}

Description read_qwen2_moe(Fields& fields) {
  Description d = read_common(fields, {16, 16, 60, 4, 1408});
  d.shared_ffn = fields.size("shared_expert_intermediate_size", 5632);
  d.qkv_bias = fields.flag("qkv_bias", true);
  d.maps_masks = d.maps_windowed_masks = true;
  fields.refuse_flag("use_sliding_window", false, "gives every second layer a window");
  if (const std::vector<std::string> types = fields.texts("layer_types"); !types.empty())
    read_layer_types(fields, d, types);
  for (const LayerRun& run : d.runs)
    if (run.windowed) fields.fail("layer_types", "asks for windows, but use_sliding_window is false");
  fields.ignore({"sliding_window", "max_window_layers", "attention_bias"});
  return d;
}

Description read_qwen3_moe(Fields& fields) {
  Description d = read_common(fields, {32, 4, 128, 8, 768});
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  const bool given = fields.find("sliding_window") == nullptr || fields.has("sliding_window");
  const bool windowed = fields.flag("use_sliding_window", false) && given;
  if (windowed) d.window = fields.size("sliding_window", 4096);
  d.runs = {{d.layers, windowed}};
  fields.ignore({"max_window_layers"});
  return d;
}

constexpr SizeNames kSizes = {"num_hidden_layers", "num_attention_heads", "hidden_size", "moe_intermediate_size",
                              "vocab_size",        "num_key_value_heads", "head_dim"};

}  // namespace

const Family kQwen2Moe = {"qwen2_moe",
                          "Qwen1.5 and Qwen2 MoE",
                          "transformers 5.23, models/qwen2_moe",
                          Task::kCausalLm,
                          decoder_tasks(DecoderHeads::kAnswers),
                          read_qwen2_moe,
                          build_decoder<Qwen2MoeParts>,
                          &kSizes};
const Family kQwen3Moe = {"qwen3_moe",
                          "Qwen3 MoE",
                          "transformers 5.23, models/qwen3_moe",
                          Task::kCausalLm,
                          decoder_tasks(DecoderHeads::kAnswers),
                          read_qwen3_moe,
                          build_decoder<Qwen3MoeParts>,
                          &kSizes};

}  // namespace peakmem
