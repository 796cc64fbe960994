// Who trains together: DDP, FSDP2, HSDP and ZeRO 1 to 3 are taken, what else there is is refused by name.
#include <algorithm>
#include <cctype>
#include <tuple>

#include "launch/understanding.h"
#include "size/wording.h"

namespace peakmem {
namespace {

bool has(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool given_ranks(const Understanding& u) { return u.is_given("fsdp") || u.is_given("hsdp") || u.is_given("ddp"); }

/// What is kept on the host, as `, its optimizer on the host`.
std::string offloaded(const Settings& s) {
  std::string what;
  for (const auto& [slot, name] : {std::pair("zero.offload_optimizer.device", "its optimizer"),
                                   std::pair("zero.offload_param.device", "its parameters")})
    if (const std::string device = s.text(slot); !device.empty() && device != "none")
      what += ", " + std::string(name) + " on the " + (device == "cpu" ? "host" : device);
  return what;
}

/// The sizes that transformers fills in for "auto" (5.23, integrations/deepspeed.py), from the width h.
void take_auto(Understanding& u) {
  const Settings& s = u.settings;
  const int64_t h = u.hidden;
  for (const auto& [slot, size, rule] : {std::tuple("zero.reduce_bucket_size", h * h, "h²"),
                                         std::tuple("zero.prefetch_bucket_size", h * h * 9 / 10, "0.9 h²"),
                                         std::tuple("zero.param_persistence_threshold", 10 * h, "10 h")})
    if (s.text(slot) == "auto")
      u.assumptions.push_back(std::string(slot + 5) + ": auto, " + rule +
                              (h > 0 ? " = " + std::to_string(size) + " elements" : ""));
}

void refuse_deepspeed(Understanding& u, std::optional<int64_t> ranks) {
  const std::string stage = u.settings.text("zero.stage");
  u.settings.refused.push_back("DeepSpeed's ZeRO " + (stage.empty() ? "" : stage + " ") + "over " +
                               (ranks ? std::to_string(*ranks) + " ranks" : "its ranks") + offloaded(u.settings) +
                               " is not modelled yet (--fsdp 8 has FSDP2, which shards as ZeRO 3 does)");
  take_auto(u);
}

/// Keys of DeepSpeed's JSON whose buffers are not modelled, with the values at which they have none.
void refuse_keys(Understanding& u) {
  const Settings& s = u.settings;
  for (const char* slot : {"zero.cpu_offload", "zero.torch_autocast", "zero.bf16.bf16_master_weights_and_grads",
                           "zero.bf16.bf16_optimizer_states", "zero.bf16.fp16_master_weights_and_grads",
                           "zero.bf16.immediate_grad_update", "zero.offload_optimizer.super_offload"})
    if (s.flag(slot)) u.refuse(slot, "is not modelled");
  const std::string sent = s.text("zero.communication_data_type");
  if (!sent.empty() && sent != "bfp16") u.refuse("zero.communication_data_type", "is not modelled: bfp16 is");
  const std::string gathered = s.text("zero.grad_accum_dtype");
  if (!gathered.empty() && gathered != "bf16" && gathered != "fp32")
    u.refuse("zero.grad_accum_dtype", "is not modelled: bf16 and fp32 are");
  if (s.says("zero.contiguous_gradients") && !s.flag("zero.contiguous_gradients"))
    u.refuse("zero.contiguous_gradients", "is not modelled: gradients without a bucket");
  if (s.says("zero.reduce_scatter") && !s.flag("zero.reduce_scatter"))
    u.refuse("zero.reduce_scatter", "is not modelled: gradients that are reduced whole");
}

/// What is on the host: the optimizer may be, in memory that is pinned or not.
void understand_offload(Understanding& u) {
  const Settings& s = u.settings;
  constexpr const char* kPins = "zero.offload_optimizer.pin_memory";  // true by default
  const std::string optimizer = s.text("zero.offload_optimizer.device");
  if (optimizer == "cpu")
    u.set("offload-optimizer", !s.says(kPins) || s.flag(kPins) ? "pinned" : "pageable");
  else if (!optimizer.empty() && optimizer != "none")
    u.refuse("zero.offload_optimizer.device", "is not modelled: the host is");
  constexpr const char* kPinsToo = "zero.offload_param.pin_memory";
  const std::string parameters = s.text("zero.offload_param.device");
  if (parameters.empty() || parameters == "none") return;
  if (s.text("zero.stage") != "3") return u.refuse("zero.offload_param.device", "is of ZeRO 3 alone");
  if (parameters != "cpu") return u.refuse("zero.offload_param.device", "is not modelled: the host is");
  u.set("offload-parameters", !s.says(kPinsToo) || s.flag(kPinsToo) ? "pinned" : "pageable");
}

/// What is of ZeRO 3 alone: sizes as files say them, of presets what transformers fills in; what else would change
/// what is gathered.
void understand_stage_3(Understanding& u) {
  const Settings& s = u.settings;
  const std::string preset = s.text("zero.preset");
  const bool fills = !preset.empty() && !preset.ends_with(".json");
  for (const auto& [slot, option, is_auto] :
       {std::tuple("zero.prefetch_bucket_size", "prefetch-bucket", true),
        std::tuple("zero.param_persistence_threshold", "persistence-threshold", true),
        std::tuple("zero.max_live_parameters", "max-live-parameters", false),
        std::tuple("zero.max_reuse_distance", "max-reuse-distance", false),
        std::tuple("zero.sub_group_size", "sub-group", false)}) {
    if (is_auto && (s.text(slot) == "auto" || (s.text(slot).empty() && fills)))
      u.set(option, "auto");
    else if (const auto elements = s.number(slot))
      u.set(option, static_cast<int64_t>(*elements));
  }
  for (const char* slot : {"zero.hpz", "zero.mics"})
    if (const auto ranks = s.number(slot); ranks && *ranks > 1) u.refuse(slot, "is not modelled");
  for (const char* slot : {"zero.quantized_weights", "zero.quantized_gradients"})
    if (s.flag(slot)) u.refuse(slot, "is not modelled");
  if (s.says("zero.model_persistence_threshold")) u.refuse("zero.model_persistence_threshold", "is not modelled");
  if (s.says("zero.memory_efficient_linear") && !s.flag("zero.memory_efficient_linear"))
    u.refuse("zero.memory_efficient_linear", "is not modelled: linear layers that keep their weights' views");
  if (const auto ratio = s.number("zero.offload_optimizer.ratio"); ratio && *ratio < 1)
    u.refuse("zero.offload_optimizer.ratio", "is not modelled: an optimizer in both places");
}

/// The optimizer of DeepSpeed's JSON stands in the place of the arguments': FusedAdam, or CPUAdam on the host.
void understand_own_optimizer(Understanding& u) {
  std::string type = u.settings.text("zero.optimizer.type");
  std::transform(type.begin(), type.end(), type.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  if (type.empty()) return;
  if (type != "adam" && type != "adamw") return u.refuse("zero.optimizer.type", "is not modelled: Adam and AdamW are");
  u.set("zero-optimizer", "true");
  u.set("optimizer", "adamw");
  u.set("optimizer-impl", "fused");
}

/// The bucket: as files say it; ms-swift's presets leave it to transformers, of other tools' the file is needed.
void understand_bucket(Understanding& u) {
  const Settings& s = u.settings;
  const std::string bucket = s.text("zero.reduce_bucket_size");
  const std::string preset = s.text("zero.preset");
  if (bucket == "auto" || (bucket.empty() && !preset.empty() && !preset.ends_with(".json")))
    u.set("reduce-bucket", "auto");
  else if (const auto elements = s.number("zero.reduce_bucket_size"))
    u.set("reduce-bucket", static_cast<int64_t>(*elements));
  else if (!preset.empty() && !u.is_given("reduce-bucket"))
    u.missing.push_back("the buckets of its preset " + preset + " (that file, or --reduce-bucket auto)");
  if (s.says("zero.overlap_comm")) u.set("overlap-comm", s.flag("zero.overlap_comm") ? "yes" : "no");
}

/// ZeRO as the files say it.
void understand_deepspeed(Understanding& u, std::optional<int64_t> ranks) {
  const Settings& s = u.settings;
  const std::string stage = s.text("zero.stage");
  if (!u.is_given("zero") && stage != "1" && stage != "2" && stage != "3") return refuse_deepspeed(u, ranks);
  u.set("zero", stage);
  if (ranks)
    u.set("ranks", *ranks);
  else if (!u.is_given("ranks"))
    u.missing.emplace_back("over how many ranks it shards (--ranks 8)");
  take_auto(u);
  understand_bucket(u);
  if (s.flag("zero.round_robin_gradients")) u.set("round-robin", "true");
  if (s.text("zero.grad_accum_dtype") == "fp32") u.set("zero-gradients", "fp32");
  refuse_keys(u);
  understand_offload(u);
  if (stage == "3") understand_stage_3(u);
  understand_own_optimizer(u);
}

/// The options ask for other sharding than the files: said, and refused where something is on the host.
void replace_deepspeed(Understanding& u) {
  if (const std::string what = offloaded(u.settings); !what.empty())
    u.settings.refused.push_back("DeepSpeed has" + what.substr(1) + ", which is not modelled");
  u.assumptions.push_back("DeepSpeed's ZeRO " + u.settings.text("zero.stage") +
                          " of the files taken as the options say");
}

/// The words of `fsdp` that shard otherwise than FSDP2's two ways.
void check_fsdp_words(Understanding& u) {
  for (const std::string& word : u.settings.list("fsdp"))
    if (word == "offload" || word == "no_shard") u.refuse("fsdp", "is not modelled: " + word);
}

/// A word of accelerate's enumerations: its name, in any case, or its number from 1 on.
bool is_word(std::string text, std::string_view name, std::string_view number) {
  for (char& letter : text) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  return text == name || text == number;
}

/// FSDP1 as accelerate's plugin has it (1.15, utils/dataclasses.py); the launcher and transformers 5.23 keep the
/// original parameters unless told. Neither has reshard_after_forward do anything.
void understand_flat(Understanding& u) {
  const Settings& s = u.settings;
  u.set("fsdp-version", "1");
  constexpr std::string_view kLoop =
      "is FSDP1, which is not modelled under accelerate in a loop of one's own (--trainer hf takes Trainer's loop, "
      "--fsdp-version 2 FSDP2)";
  if (!takes_trainer_over_shards(u) && u.is_given("fsdp-version"))
    u.settings.refused.push_back("--fsdp-version: 1 " + std::string(kLoop));
  else if (!takes_trainer_over_shards(u))
    u.refuse("fsdp_config.version", kLoop);
  const std::string strategy = s.text("fsdp_config.sharding_strategy");
  if (is_word(strategy, "SHARD_GRAD_OP", "2"))
    u.set("no-reshard-after-forward", "true");
  else if (!strategy.empty() && !is_word(strategy, "FULL_SHARD", "1"))
    u.refuse("fsdp_config.sharding_strategy", "is not modelled for FSDP1: FULL_SHARD and SHARD_GRAD_OP are");
  const std::string ahead = s.text("fsdp_config.backward_prefetch");
  if (!ahead.empty() && !is_word(ahead, "NO_PREFETCH", "") && !is_word(ahead, "BACKWARD_PRE", "1") &&
      !is_word(ahead, "BACKWARD_POST", "2"))
    u.refuse("fsdp_config.backward_prefetch", "is none of NO_PREFETCH, BACKWARD_PRE and BACKWARD_POST");
  u.set("fsdp-prefetch", is_word(ahead, "BACKWARD_PRE", "1")    ? "pre"
                         : is_word(ahead, "BACKWARD_POST", "2") ? "post"
                                                                : "none");
  if (s.flag("fsdp_config.forward_prefetch"))
    u.refuse("fsdp_config.forward_prefetch", "gathers ahead in the forward pass, which is not modelled");
  const bool flat = s.says("fsdp_config.use_orig_params") && !s.flag("fsdp_config.use_orig_params");
  u.set("use-orig-params", flat ? "no" : "yes");
  if (s.says("fsdp_config.limit_all_gathers") && !s.flag("fsdp_config.limit_all_gathers"))
    u.doubt("fsdp_config.limit_all_gathers: without the limit more is reserved");
}

/// Whether the files ask for flat parameters, and the options for none of the two.
bool is_flat(const Understanding& u) {
  const std::string* version = Options(u.given).text("fsdp-version");
  if (version != nullptr) return *version == "1";
  return u.settings.size("fsdp_config.version").value_or(2) == 1;
}

/// Which units are wrapped, as accelerate's file says it (1.15, utils/dataclasses.py); `fsdp` of TrainingArguments has
/// the layers wrapped.
void check_wrapped_units(Understanding& u) {
  const Settings& s = u.settings;
  const std::string policy = s.text("fsdp_config.auto_wrap_policy");
  const Setting* type = s.find("distributed_type");
  if (!policy.empty() && !is_word(policy, "TRANSFORMER_BASED_WRAP", ""))
    u.refuse("fsdp_config.auto_wrap_policy", "wraps other units than the layers, which is not modelled");
  if (policy.empty() && type != nullptr && type->source != nullptr && s.list("fsdp").empty())
    u.doubt("fsdp_config.fsdp_auto_wrap_policy: without it accelerate wraps no layer, and here every one is");
}

void understand_fsdp(Understanding& u, std::optional<int64_t> ranks) {
  const Settings& s = u.settings;
  const int64_t version = s.size("fsdp_config.version").value_or(2);
  if (version != 1 && version != 2) u.refuse("fsdp_config.version", "is no version of FSDP: 1 and 2 are");
  check_wrapped_units(u);
  const std::vector<std::string> words = s.list("fsdp");
  const bool hybrid = has(words, "hybrid_shard") || has(words, "hybrid_shard_zero2") ||
                      s.text("fsdp_config.sharding_strategy").starts_with("HYBRID");
  check_fsdp_words(u);
  if (!given_ranks(u)) {
    if (hybrid)
      u.missing.emplace_back("the mesh of copies and shards (--hsdp 2x4)");
    else if (ranks)
      u.set("fsdp", *ranks);
    else
      u.missing.emplace_back("over how many ranks it shards (--fsdp 8)");
  }
  if (is_flat(u)) return understand_flat(u);
  const bool gathered = s.text("fsdp_config.reshard_after_forward") == "false" || has(words, "shard_grad_op") ||
                        s.text("fsdp_config.sharding_strategy") == "SHARD_GRAD_OP";
  if (gathered) u.set("no-reshard-after-forward", "true");
}

void understand_ddp(Understanding& u, std::optional<int64_t> ranks) {
  const Settings& s = u.settings;
  const bool given = u.is_given("ddp");
  if (!ranks && !given)
    u.assumptions.emplace_back("ranks: 1, for the files name no launcher (--ddp 8 or --fsdp 8 for more)");
  if (!given && ranks.value_or(1) == 1) return;
  if (!given) u.set("ddp", *ranks);
  if (const auto mib = s.size("ddp_bucket_cap_mb")) u.set("bucket-mb", *mib);
  if (s.says("ddp_find_unused_parameters")) u.set("find-unused", s.flag("ddp_find_unused_parameters") ? "yes" : "no");
  if (s.size("gradient_accumulation_steps").value_or(1) > 1) u.set("no-sync", "true");
}

}  // namespace

std::optional<int64_t> ranks_said(const Understanding& u) {
  const Settings& s = u.settings;
  if (const auto ranks = s.size("ranks")) return ranks;
  const std::string per_node = s.text("nproc_per_node");
  const std::string nodes = s.text("nnodes");
  if (per_node.empty()) return std::nullopt;
  const Result<int64_t> of_node = parse_size(per_node, "nproc_per_node");
  const Result<int64_t> many = parse_size(nodes.empty() ? "1" : nodes, "nnodes");
  if (!of_node || !many || *of_node > (1 << 20) || *many > (1 << 20)) return std::nullopt;  // "gpu", "1:4"
  return *of_node * *many;
}

void understand_ranks(Understanding& u) {
  const Settings& s = u.settings;
  const std::optional<int64_t> ranks = ranks_said(u);
  const std::string type = s.text("distributed_type");
  const bool zero = s.flag("deepspeed") || s.says("zero.stage") || type == "DEEPSPEED";
  const bool shards =
      !s.list("fsdp").empty() || type == "FSDP" || s.flag("use_fsdp") || u.is_given("fsdp") || u.is_given("hsdp");
  if ((zero || u.is_given("zero")) && !given_ranks(u)) return understand_deepspeed(u, ranks);
  if (zero) replace_deepspeed(u);
  if (shards && !u.is_given("ddp")) return understand_fsdp(u, ranks);
  understand_ddp(u, ranks);
}

}  // namespace peakmem
