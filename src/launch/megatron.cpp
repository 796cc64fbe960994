// Megatron-LM: its flags as options of --stack megatron, and the sizes that they say as a model without a config.
#include <algorithm>
#include <tuple>
#include <utility>

#include "format/json.h"
#include "launch/prepare.h"
#include "request/options.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr int64_t kMostDegree = 1 << 15;  // of four, whose product so stays a number; the stack refuses fewer ranks
constexpr int64_t kMostRows = 1 << 20;

/// The family whose layers these are, of those that the stack runs; empty where they are none's.
std::string_view family_of(const Settings& s) {
  const std::string norm = s.text("megatron.normalization");
  const std::string positions = s.text("megatron.positions");
  const bool gated = s.flag("megatron.swiglu");
  const bool has_no_biases = s.flag("megatron.disable_bias_linear");
  if (!gated && norm == "LayerNorm" && positions == "learned_absolute") return "gpt2";
  if (!gated || !has_no_biases || norm != "RMSNorm" || positions != "rope") return {};
  if (s.flag("megatron.qk_layernorm")) return "qwen3";
  return s.flag("megatron.add_qkv_bias") ? "qwen2" : "llama";
}

/// What the family's config has by itself, which a model without a config cannot change.
void check_fixed(Understanding& u, bool is_gpt2) {
  const Settings& s = u.settings;
  for (const auto& [slot, option] : {std::pair("megatron.hidden_dropout", "hidden-dropout"),
                                     std::pair("megatron.attention_dropout", "attention-dropout")}) {
    const double dropout = s.number(slot).value_or(0);
    if (dropout != (is_gpt2 ? 0.1 : 0)) u.set(option, json_number(dropout));
  }
  const bool unties = s.flag("megatron.untie_embeddings_and_output_weights");
  if (!is_gpt2 && !unties)
    u.refuse("megatron.untie_embeddings_and_output_weights", "is not modelled for its like: a head of its own is");
  if (is_gpt2 && unties) u.set("untie-embeddings", "true");
  if (is_gpt2 && s.flag("megatron.disable_bias_linear")) u.set("disable-bias-linear", "true");
  if (const auto positions = s.size("megatron.max_position_embeddings"); is_gpt2 && positions.value_or(1024) != 1024)
    u.refuse("megatron.max_position_embeddings", "is not modelled without a config: GPT-2's 1024 are");
}

void understand_model(Understanding& u) {
  const Settings& s = u.settings;
  const std::string_view family = family_of(s);
  if (family.empty()) {
    u.settings.refused.emplace_back(
        "a model of these flags is none that is read: LLaMA's (--swiglu --normalization RMSNorm "
        "--position-embedding-type rope --disable-bias-linear), Qwen2's, Qwen3's and GPT-2's are");
    return;
  }
  check_fixed(u, family == "gpt2");
  u.set("family", family);
  const int64_t hidden = s.size("megatron.hidden_size").value_or(0);
  for (const auto& [slot, option] :
       {std::pair("megatron.num_layers", "layers"), std::pair("megatron.hidden_size", "hidden"),
        std::pair("megatron.num_attention_heads", "heads"), std::pair("megatron.vocab_size", "vocab")}) {
    if (const auto size = s.size(slot))
      u.set(option, *size);
    else if (!u.is_given(option))
      u.missing.push_back("the model's size of --" + std::string(option));
  }
  const int64_t usual_ffn = s.flag("megatron.swiglu") ? hidden * 8 / 3 / 64 * 64 : 4 * hidden;
  u.set("ffn", s.size("megatron.ffn_hidden_size").value_or(usual_ffn));
  const auto groups = s.size("megatron.num_query_groups");
  if (s.flag("megatron.group_query_attention") && groups) u.set("kv-heads", *groups);
  if (const auto width = s.size("megatron.kv_channels")) u.set("head-dim", *width);
}

/// Experts by Megatron-LM's own names, with what it has where nobody says.
void understand_experts(Understanding& u) {
  const Settings& s = u.settings;
  const auto experts = s.size("megatron.num_experts");
  if (experts.value_or(0) < 1) return;
  u.set("num-experts", *experts);
  for (const auto& [slot, option] :
       {std::pair("megatron.etp", "etp"), std::pair("megatron.moe_router_topk", "moe-router-topk"),
        std::pair("megatron.moe_ffn_hidden_size", "moe-ffn-hidden-size"),
        std::pair("megatron.moe_shared_expert_intermediate_size", "moe-shared-expert-intermediate-size")})
    if (const auto size = s.size(slot)) u.set(option, *size);
  const std::string dispatcher = s.text("megatron.moe_token_dispatcher_type");
  u.set("moe-dispatcher", dispatcher.empty() ? "allgather" : dispatcher);
  const std::string balancing = s.text("megatron.moe_router_load_balancing_type");
  const bool has_loss = s.number("megatron.moe_aux_loss_coeff").value_or(0) > 0;
  if (balancing.empty() || balancing == "aux_loss")
    u.set("moe-router-load-balancing-type", has_loss ? "aux_loss" : "none");
  else
    u.set("moe-router-load-balancing-type", balancing);
  if (const std::string dtype = s.text("megatron.moe_router_dtype"); !dtype.empty()) u.set("moe-router-dtype", dtype);
  if (s.flag("megatron.moe_grouped_gemm")) u.set("moe-grouped-gemm", "true");
}

/// Data-parallel ranks are what the other degrees leave; micro-batches what a global batch leaves to each.
void understand_degrees(Understanding& u) {
  const Settings& s = u.settings;
  int64_t others = 1;
  for (const auto& [slot, option, what] :
       {std::tuple("megatron.tp", "tp", "tensor parallelism"), std::tuple("megatron.pp", "pp", "a pipeline"),
        std::tuple("megatron.cp", "cp", "context parallelism"),
        std::tuple("megatron.ep", "ep", "expert parallelism")}) {
    const int64_t degree = s.size(slot).value_or(1);
    if (degree <= 1) continue;
    if (std::string_view(option) != "ep") others *= std::min(degree, kMostDegree);
    if (find_option(option) == nullptr)
      u.refuse(slot, "is " + std::string(what) + ", which is not modelled with --stack megatron");
    else
      u.set(option, degree);
  }
  const std::optional<int64_t> ranks = ranks_said(u);
  const auto given = Options(u.given).size("dp");
  if (!given && !ranks) return u.missing.emplace_back("over how many ranks data is parallel (--dp 8)"), void();
  if (!given && *ranks % others != 0) {
    u.settings.refused.push_back(std::to_string(*ranks) + " ranks are no multiple of the " + std::to_string(others) +
                                 " that the degrees take");
    return;
  }
  const int64_t dp = std::min(given ? *given : *ranks / others, int64_t{1} << 40);
  u.set("dp", dp);
  const int64_t rows = std::min(s.size("megatron.micro_batch_size").value_or(1), kMostRows);
  const int64_t all = s.size("megatron.global_batch_size").value_or(rows * dp);
  if (rows < 1 || dp < 1 || all % (rows * dp) != 0)
    return u.refuse("megatron.global_batch_size", "is no multiple of " + std::to_string(dp) + " ranks' micro-batches");
  u.set("accumulate", all / (rows * dp));
}

void understand_recompute(Understanding& u) {
  const Settings& s = u.settings;
  const std::string granularity = s.text("megatron.recompute");
  if (granularity == "selective" || s.flag("megatron.recompute_activations")) return u.set("recompute", "selective");
  if (granularity.empty()) return;
  const bool is_every_layer =
      s.text("megatron.recompute_method") == "uniform" && s.size("megatron.recompute_num_layers").value_or(1) == 1;
  if (!is_every_layer) return u.refuse("megatron.recompute", "is not modelled but layer by layer: uniform, of 1 layer");
  u.set("recompute", "full");
}

/// Chunks of a stage, said as their number or by the layers of each.
void understand_chunks(Understanding& u) {
  const Settings& s = u.settings;
  if (const auto chunks = s.size("megatron.vpp")) return u.set("vpp", *chunks);
  const auto each = s.size("megatron.layers_of_chunk");
  if (!each) return;
  const int64_t of_stage =
      s.size("megatron.num_layers").value_or(0) / std::max<int64_t>(1, s.size("megatron.pp").value_or(1));
  if (*each < 1 || of_stage % *each != 0)
    return u.refuse("megatron.layers_of_chunk",
                    "does not divide the " + std::to_string(of_stage) + " layers of a stage");
  u.set("vpp", of_stage / *each);
}

/// Whose modules the layers are, and which of their kernels.
void understand_modules(Understanding& u) {
  const Settings& s = u.settings;
  const std::string backend = s.text("megatron.attention_backend");
  if (s.text("megatron.transformer_impl") != "local") {
    u.set("transformer-impl", s.text("megatron.transformer_impl"));
    if (!backend.empty() && backend != "auto") u.set("attention-backend", backend);
  }
  if (!s.flag("megatron.no_gradient_accumulation_fusion")) u.set("gradient-accumulation-fusion", "true");
}

}  // namespace

void understand_megatron(Understanding& u) {
  const Settings& s = u.settings;
  u.set("stack", "megatron");
  understand_model(u);
  understand_experts(u);
  if (const auto rows = s.size("megatron.micro_batch_size"))
    u.set("batch", *rows);
  else if (!u.is_given("batch"))
    u.missing.emplace_back("the rows of a micro-batch (--batch 1)");
  if (const auto seq = s.size("megatron.seq_length"))
    u.set("seq", *seq);
  else if (!u.is_given("seq"))
    u.missing.emplace_back("the tokens of a row (--seq 2048)");
  u.set("precision", s.flag("megatron.bf16") ? "bf16" : s.flag("megatron.fp16") ? "fp16" : "fp32");
  understand_degrees(u);
  if (s.flag("megatron.sequence_parallel") && s.size("megatron.tp").value_or(1) > 1) u.set("sequence-parallel", "true");
  if (s.flag("megatron.use_distributed_optimizer")) u.set("distributed-optimizer", "true");
  for (const auto& [slot, option] :
       {std::pair("megatron.overlap_grad_reduce", "overlap-grad-reduce"),
        std::pair("megatron.deterministic_mode", "deterministic-mode"),
        std::pair("megatron.cross_entropy_loss_fusion", "cross-entropy-loss-fusion"),
        std::pair("megatron.no_create_attention_mask", "no-create-attention-mask-in-dataloader"),
        std::pair("megatron.log_num_zeros_in_grad", "log-num-zeros-in-grad")})
    if (s.flag(slot)) u.set(option, "true");
  if (const auto instances = s.size("megatron.optimizer_instances"); instances.value_or(1) > 1)
    u.set("distributed-optimizer-instances", *instances);
  understand_chunks(u);
  understand_recompute(u);
  understand_modules(u);
}

}  // namespace peakmem
