// What each front has of its own, put in the words of transformers' stack.
#include <algorithm>
#include <array>

#include "launch/understanding.h"
#include "size/wording.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;

Value size_value(int64_t size) { return {.kind = Kind::kInteger, .integer = size, .real = static_cast<double>(size)}; }
Value flag_value(bool flag) { return {.kind = Kind::kBool, .boolean = flag}; }

/// Why a kind of training other than supervised fine-tuning is refused.
void refuse_kind(Understanding& u, const std::string& kind) {
  const Settings& s = u.settings;
  const std::string rows = s.text("per_device_train_batch_size") + " rows of up to ";
  if (kind == "grpo" || kind == "rloo" || kind == "ppo")
    u.settings.refused.push_back(kind +
                                 " is not modelled: it needs the generation beside (vLLM's share of the card), and the "
                                 "pass over completions of " +
                                 s.text("max_completion_length") + " tokens");
  else if (kind == "reward" || kind == "rm")
    u.settings.refused.push_back(kind + " is not modelled: it needs the reward head over pairs");
  else
    u.settings.refused.push_back(kind + " is not modelled: it needs the reference model" +
                                 (s.flag("use_peft") ? " (the adapter switched off)" : " (a frozen copy)") +
                                 " and its loss over pairs, twice " + rows + s.text("max_length") + " tokens");
}

/// The kind that TRL is asked for: the subcommand or script, else the keys that only one kind has.
std::string trl_kind(const Settings& s) {
  const std::string words = " " + s.text("words") + " ";
  for (const char* kind : {"sft", "dpo", "grpo", "kto", "reward", "rloo", "cpo", "orpo"})
    if (words.find(" " + std::string(kind) + " ") != std::string::npos ||
        words.find(std::string(kind) + ".py ") != std::string::npos)
      return kind;
  for (const char* key : {"num_generations", "max_completion_length", "use_vllm", "num_iterations", "reward_funcs"})
    if (s.says(key)) return "grpo";
  for (const char* key : {"precompute_ref_log_probs", "ref_model_name_or_path", "beta", "rpo_alpha", "reference_free"})
    if (s.says(key)) return "dpo";
  return "sft";
}

/// One row of a micro-batch's tokens, as packing without padding has it: attention is over each sequence by itself, of
/// which flash attention keeps no more than of one.
void flatten_rows(Understanding& u) {
  const Settings& s = u.settings;
  const int64_t rows = s.size("per_device_train_batch_size").value_or(1);
  const int64_t length = s.size("max_length").value_or(0);
  if (length <= 0 || rows <= 0 || length > (int64_t{1} << 31) / std::max<int64_t>(rows, 1)) return;
  u.settings.put("per_device_train_batch_size", size_value(1));
  u.settings.put("max_length", size_value(rows * length));
  u.assumptions.push_back("packed: one row of up to " + std::to_string(rows * length) + " tokens");
  const std::string attention = s.text("attn_implementation");
  if (attention.find("flash") == std::string::npos && attention != "fa2")
    u.doubt("packing: without flash attention a mask over the row's tokens may be built, which is not modelled");
}

/// The accelerate configs that come with TRL 1.16 (trl/accelerate_configs), all of 8 processes in bf16.
void take_trl_preset(Understanding& u) {
  const std::string name = u.settings.text("accelerate_config");
  if (name.empty() || name.ends_with(".yaml") || name.ends_with(".yml")) return;
  if (!u.settings.says("ranks")) u.settings.put("ranks", size_value(name == "single_gpu" ? 1 : 8));
  if (name.starts_with("fsdp")) {
    u.settings.put("distributed_type", "FSDP");
    u.settings.put("fsdp_config.version", size_value(name == "fsdp1" ? 1 : 2));
  } else if (name.starts_with("zero")) {
    u.settings.put("distributed_type", "DEEPSPEED");
    u.settings.put("zero.stage", name.substr(4));
  } else if (name != "single_gpu" && name != "multi_gpu") {
    u.refuse("accelerate_config", "is none of TRL's: single_gpu, multi_gpu, fsdp1, fsdp2, zero1, zero2, zero3");
  }
}

void prepare_trl(Understanding& u) {
  Settings& s = u.settings;
  take_trl_preset(u);
  if (!s.says("bf16") && !s.flag("fp16")) s.put("bf16", flag_value(true));
  if (const std::string kind = trl_kind(s); kind != "sft") return refuse_kind(u, kind);
  const bool flat = (s.flag("packing") && s.text("packing_strategy") != "wrapped") || s.flag("padding_free");
  if (flat) flatten_rows(u);
  if (flat || s.flag("packing")) s.put("packing", flag_value(true));
}

constexpr std::array kPreparations = {std::pair<std::string_view, void (*)(Understanding&)>{"trl", prepare_trl}};

}  // namespace

void prepare(Understanding& u) {
  for (const auto& [tool, prepare_tool] : kPreparations)
    if (tool == u.tool) prepare_tool(u);
}

}  // namespace peakmem
