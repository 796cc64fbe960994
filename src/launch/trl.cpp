// TRL 1.16: scripts by subcommand, presets of accelerate, packing.
#include "launch/prepare.h"

namespace peakmem {
namespace {

/// The kind that is asked for: the subcommand or script, else the keys that only one kind has.
std::string kind_of(const Settings& s) {
  const std::string words = " " + s.text("words") + " ";
  for (const char* kind : {"sft", "dpo", "grpo", "kto", "reward", "rloo", "cpo", "orpo"})
    if (words.find(" " + std::string(kind) + " ") != std::string::npos ||
        words.find(std::string(kind) + ".py ") != std::string::npos)
      return kind;
  for (const char* key : {"num_generations", "max_completion_length", "use_vllm", "num_iterations", "reward_funcs"})
    if (s.says(key)) return "grpo";
  for (const char* key : {"desirable_weight", "undesirable_weight"})
    if (s.says(key)) return "kto";
  for (const char* key : {"precompute_ref_log_probs", "ref_model_name_or_path", "beta", "rpo_alpha", "reference_free"})
    if (s.says(key)) return "dpo";
  return "sft";
}

/// The accelerate configs that come with TRL (trl/accelerate_configs), all of 8 processes in bf16.
void take_preset(Understanding& u) {
  Settings& s = u.settings;
  const std::string name = s.text("accelerate_config");
  if (name.empty() || name.ends_with(".yaml") || name.ends_with(".yml")) return;
  if (!s.says("ranks")) s.put("ranks", size_value(name == "single_gpu" ? 1 : 8));
  if (name == "fsdp1" || name == "fsdp2") {
    s.put("distributed_type", "FSDP");
    s.put("fsdp_config.version", size_value(name == "fsdp1" ? 1 : 2));
    if (name == "fsdp1") s.put("fsdp_config.backward_prefetch", "BACKWARD_PRE");
    if (name == "fsdp1") s.put("fsdp_config.forward_prefetch", flag_value(true));
  } else if (name == "zero1" || name == "zero2" || name == "zero3") {
    s.put("distributed_type", "DEEPSPEED");
    s.put("zero.stage", name.substr(4));
  } else if (name != "single_gpu" && name != "multi_gpu") {
    u.refuse("accelerate_config", "is none of TRL's: single_gpu, multi_gpu, fsdp1, fsdp2, zero1, zero2, zero3");
  }
}

/// DPOTrainer, RewardTrainer or KTOTrainer: rows are pairs or rated, and the reference is made as the trainer makes it.
void prepare_pairs(Understanding& u, const std::string& kind) {
  Settings& s = u.settings;
  u.set("objective", kind);
  if (kind == "reward") u.set("task", "sequence-classification");
  if (kind == "reward" && s.text("lora_task_type") == "SEQ_CLS")
    u.set("lora-modules-to-save", "score");  // as PEFT does
  if (s.flag("precompute_ref_log_probs")) u.set("reference", "precomputed");
  for (const std::string& loss : s.list("loss_type"))
    if (loss != (kind == "kto" ? "kto" : "sigmoid"))
      u.doubt("loss_type: " + loss + ": what it makes otherwise than the default is not modelled");
  if (const std::string strategy = s.text("eval_strategy"); !strategy.empty() && strategy != "no") {
    u.doubt("eval_strategy: an evaluation of pairs is not modelled");
    s.put("eval_strategy", "no");
  }
}

}  // namespace

void prepare_trl(Understanding& u) {
  Settings& s = u.settings;
  take_preset(u);
  if (!s.says("bf16") && !s.flag("fp16")) s.put("bf16", flag_value(true));
  const std::string kind = kind_of(s);
  if (kind == "dpo" || kind == "reward" || kind == "kto") return prepare_pairs(u, kind);
  if (kind != "sft") return refuse_kind(u, kind);
  const bool flat = (s.flag("packing") && s.text("packing_strategy") != "wrapped") || s.flag("padding_free");
  if (flat) flatten_rows(u);
  if (flat) s.put("packing", flag_value(true));
}

}  // namespace peakmem
