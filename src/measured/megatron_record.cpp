#include "measured/megatron_record.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "format/given.h"

namespace peakmem {
namespace {

Error not_modelled(std::string_view field, const std::string& what) {
  return {std::string(field), what + " is not modelled for Megatron-Core", ""};
}

constexpr std::array kConfig = std::to_array<std::string_view>({"bias_activation_fusion",
                                                                "bias_dropout_fusion",
                                                                "masked_softmax_fusion",
                                                                "attention_softmax_in_fp32",
                                                                "gradient_accumulation_fusion",
                                                                "persist_layer_norm",
                                                                "sequence_parallel",
                                                                "num_layers",
                                                                "hidden_size",
                                                                "num_attention_heads",
                                                                "num_query_groups",
                                                                "kv_channels",
                                                                "ffn_hidden_size",
                                                                "activation",
                                                                "gated_linear_unit",
                                                                "normalization",
                                                                "add_bias_linear",
                                                                "add_qkv_bias",
                                                                "qk_layernorm",
                                                                "vocab_size",
                                                                "share_embeddings_and_output_weights",
                                                                "position_embedding_type",
                                                                "hidden_dropout",
                                                                "attention_dropout",
                                                                "apply_query_key_layer_scaling",
                                                                "deterministic_mode",
                                                                "num_moe_experts",
                                                                "moe_router_topk",
                                                                "moe_ffn_hidden_size",
                                                                "moe_token_dispatcher_type",
                                                                "moe_router_load_balancing_type",
                                                                "moe_router_pre_softmax",
                                                                "moe_aux_loss_coeff",
                                                                "moe_router_dtype",
                                                                "moe_shared_expert_intermediate_size",
                                                                "moe_grouped_gemm",
                                                                "moe_expert_capacity_factor",
                                                                "moe_pad_expert_input_to_capacity",
                                                                "recompute_granularity",
                                                                "recompute_method",
                                                                "recompute_num_layers",
                                                                "recompute_modules",
                                                                "distribute_saved_activations",
                                                                "num_layers_in_first_pipeline_stage",
                                                                "num_layers_in_last_pipeline_stage"});

mcore::Mixture read_mixture(const Given& config, int64_t ffn) {
  mcore::Mixture m;
  m.experts = config.size("num_moe_experts", 0);
  m.experts_per_token = config.size("moe_router_topk", 2);
  m.ffn = config.size("moe_ffn_hidden_size", ffn);
  m.dispatcher = config.text("moe_token_dispatcher_type") == "alltoall" ? mcore::Dispatcher::kAllToAll
                                                                        : mcore::Dispatcher::kAllGather;
  const std::string balancing = config.text("moe_router_load_balancing_type");
  m.router = balancing == "sinkhorn" ? mcore::Router::kSinkhorn : mcore::Router::kTopK;
  m.routes_in_full = config.text("moe_router_dtype") == "fp32";
  m.grouped = config.flag("moe_grouped_gemm");
  m.shared_ffn = config.size("moe_shared_expert_intermediate_size", 0);
  m.has_aux_loss = m.router == mcore::Router::kTopK && config.real("moe_aux_loss_coeff", 0) > 0;
  m.softmax_first = config.flag("moe_router_pre_softmax");
  m.capacity_percent = std::llround(config.real("moe_expert_capacity_factor", 0) * 100);
  m.pads_to_capacity = config.flag("moe_pad_expert_input_to_capacity");
  return m;
}

mcore::Gpt read_model(const Given& config, int64_t seq) {
  mcore::Gpt m;
  m.layers = config.size("num_layers", 1);
  m.hidden = config.size("hidden_size", 1);
  m.heads = config.size("num_attention_heads", 1);
  m.groups = config.size("num_query_groups", m.heads);
  m.head_dim = config.size("kv_channels", m.hidden / m.heads);
  m.ffn = config.size("ffn_hidden_size", 4 * m.hidden);
  m.vocab = config.size("vocab_size", 1);
  m.positions = seq;
  m.norm = config.text("normalization") == "RMSNorm" ? mcore::Norm::kRmsNorm : mcore::Norm::kLayerNorm;
  m.position =
      config.text("position_embedding_type") == "rope" ? mcore::Positions::kRotary : mcore::Positions::kLearned;
  m.is_silu = config.text("activation") == "silu";
  m.gated = config.flag("gated_linear_unit");
  m.linear_bias = config.flag("add_bias_linear", true);
  m.qkv_bias = config.flag("add_qkv_bias");
  m.norms_heads = config.flag("qk_layernorm");
  m.tied = config.flag("share_embeddings_and_output_weights");
  m.hidden_dropout = config.real("hidden_dropout", 0.1);
  m.attention_dropout = config.real("attention_dropout", 0.1);
  m.mixture = read_mixture(config, m.ffn);
  return m;
}

mcore::Kernels read_kernels(const Given& what, const Given& config) {
  return {.compiled = what.text("jit") == "compiled",
          .apex = what.text("ext") == "apex-like",
          .fuses_softmax = config.flag("masked_softmax_fusion"),
          .fuses_accumulation = config.flag("gradient_accumulation_fusion"),
          .fuses_activation = config.flag("bias_activation_fusion"),
          .full_softmax = config.flag("attention_softmax_in_fp32"),
          .scales_by_layer = config.flag("apply_query_key_layer_scaling"),
          .deterministic = config.flag("deterministic_mode"),
          .local_clip = what.text("multi_tensor") == "local",
          .foreach_adam = what.text("adam") == "foreach",
          .te_adam = what.text("adam") == "te"};
}

/// The TransformerEngine spec under Megatron-LM's own loop, with functions compiled.
void read_te(const Given& what, mcore::Job& job) {
  if (what.text("spec").find("transformer_engine") == std::string::npos) return;
  mcore::Kernels& k = job.kernels;
  k.te = k.te_is_there = true;
  const std::string attention = what.text("attention_backend");
  k.te_attention = attention == "unfused" ? mcore::TeAttention::kUnfused
                   : attention == "flash" ? mcore::TeAttention::kFlash
                                          : mcore::TeAttention::kFused;
}

mcore::Degrees read_degrees(const Given& ranks, const Given& config) {
  return {.tp = ranks.size("tp", 1),
          .cp = ranks.size("cp", 1),
          .pp = ranks.size("pp", 1),
          .vpp = ranks.size("vpp", 1),
          .dp = ranks.size("dp", 1),
          .ep = ranks.size("ep", 1),
          .etp = ranks.size("etp", 0),
          .sequence_parallel = config.flag("sequence_parallel")};
}

void read_recompute(const Given& config, mcore::Job& job) {
  mcore::Training& t = job.training;
  const std::string granularity = config.text("recompute_granularity");
  t.recompute_layers = config.size("recompute_num_layers", 1);
  t.distributes_saved = config.flag("distribute_saved_activations");
  if (granularity == "full")
    t.recompute = config.text("recompute_method") == "block" ? mcore::Recompute::kBlock : mcore::Recompute::kUniform;
  if (granularity != "selective") return;
  const Value* modules = config.find("recompute_modules");
  if (modules == nullptr) t.recompute = mcore::Recompute::kCoreAttention;
  for (const Value& module : modules != nullptr ? modules->items : std::vector<Value>()) {
    if (module.string == "core_attn") t.recompute = mcore::Recompute::kCoreAttention;
    if (module.string == "moe") job.model.mixture.recomputes = true;
  }
}

mcore::Training read_training(const Given& what, const Given& config) {
  const Given ddp(what.find("ddp"));
  const Given optimizer(what.find("optimizer"));
  const std::string precision = what.text("precision");
  mcore::Training t;
  t.seq = what.size("seq", 1);
  t.micro_batch = what.size("micro_batch", 1);
  t.micro_batches = what.size("microbatches", 1);
  t.precision = precision == "fp32" ? DType::kFloat32 : precision == "fp16" ? DType::kFloat16 : DType::kBFloat16;
  t.full_gradients = ddp.flag("grad_reduce_in_fp32") || t.precision == DType::kFloat32;
  t.distributed_optimizer = ddp.flag("use_distributed_optimizer");
  t.overlaps_gradients = ddp.flag("overlap_grad_reduce");
  t.clips = optimizer.real("clip_grad", 1.0) > 0;
  t.given_mask = what.text("attention_mask") == "dataloader";
  t.pretrains = what.text("loop") == "pretrain_gpt.py";
  t.whole_batch = what.flag("whole_batch");
  t.overlaps_sends = what.flag("overlap_p2p_comm");
  t.counts_zeros = what.flag("log_num_zeros_in_grad");
  t.first_layers = config.size("num_layers_in_first_pipeline_stage", 0);
  t.last_layers = config.size("num_layers_in_last_pipeline_stage", 0);
  return t;
}

}  // namespace

Result<mcore::Job> read_megatron_case(const Value& what) {
  const Given given(&what);
  const Value* config_value = given.find("config");
  if (config_value == nullptr) return Error{"config", "is missing", ""};
  for (const Member& member : config_value->members)
    if (std::find(kConfig.begin(), kConfig.end(), member.name) == kConfig.end())
      return not_modelled("config", member.name);
  const Given config(config_value);
  const Given ranks(given.find("ranks"));
  mcore::Job job;
  job.training = read_training(given, config);
  job.model = read_model(config, job.training.seq);
  job.kernels = read_kernels(given, config);
  read_te(given, job);
  job.degrees = read_degrees(ranks, config);
  job.rank = given.size("rank", 0);
  read_recompute(config, job);
  const bool rings = job.kernels.te && job.kernels.te_attention == mcore::TeAttention::kFlash;
  if (job.degrees.cp > 1 && !rings) return not_modelled("ranks", "context parallelism but in flash-attn's kernel");
  const mcore::Mixture& m = job.model.mixture;
  if (m.experts > 0 && job.kernels.fuses_activation && !job.model.gated)
    return not_modelled("config", "a fused activation of experts without a gate");
  if (m.experts > 0 && job.model.linear_bias) return not_modelled("config", "a bias of experts");
  if (m.grouped && !job.kernels.te) return not_modelled("config", "a grouped product without TransformerEngine");
  if (m.experts > 0 && m.capacity_percent > 0 && !m.pads_to_capacity)
    return not_modelled("config", "a capacity of experts that is not padded to");
  if (m.pads_to_capacity && m.dispatcher == mcore::Dispatcher::kAllGather)
    return not_modelled("config", "a capacity of experts with the all-gather dispatcher");
  return job;
}

Result<MegatronRecord> read_megatron_record(const Value& line) {
  const Given given(&line);
  const Value* what = given.find("case");
  if (what == nullptr) return Error{"case", "is missing", ""};
  MegatronRecord record;
  record.id = Given(what).text("id");
  const Result<mcore::Job> job = read_megatron_case(*what);
  if (!job) return job.error();
  record.job = *job;
  record.parameters = given.size("parameters", 0);
  const Value* phases = given.find("phases");
  for (const Value& value : phases != nullptr ? phases->items : std::vector<Value>()) {
    const Given phase(&value);
    record.phases.push_back({static_cast<int32_t>(phase.real("step", 0)), -1, phase.text("phase"),
                             phase.size("start", 0), phase.size("peak", 0), phase.size("end", 0)});
  }
  return record;
}

}  // namespace peakmem
