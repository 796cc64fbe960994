// TRL 1.16: scripts by subcommand, presets of accelerate, packing.
#include <cmath>

#include "launch/prepare.h"

namespace peakmem {
namespace {

/// The kind that is asked for: by an option beside the files, by the subcommand or script, else by the keys that only
/// one kind has.
std::string kind_of(const Understanding& u) {
  const Settings& s = u.settings;
  if (const std::string* asked = Options(u.given).text("objective")) return *asked == "simpo" ? "cpo" : *asked;
  const std::string words = " " + s.text("words") + " ";
  for (const char* kind : {"sft", "dpo", "grpo", "kto", "reward", "rloo", "cpo", "orpo"})
    if (words.find(" " + std::string(kind) + " ") != std::string::npos ||
        words.find(std::string(kind) + ".py ") != std::string::npos)
      return kind;
  for (const char* key : {"num_generations", "max_completion_length", "use_vllm", "num_iterations", "reward_funcs"})
    if (s.says(key)) return "grpo";
  for (const char* key : {"desirable_weight", "undesirable_weight"})
    if (s.says(key)) return "kto";
  for (const char* key : {"cpo_alpha", "simpo_gamma"})
    if (s.says(key)) return "cpo";
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

/// What a kind takes for `loss_type` unless told; empty where it has none.
std::string_view usual_loss(std::string_view kind) {
  return kind == "kto" ? "kto" : kind == "simpo" ? "simpo" : kind == "grpo" ? "dapo" : "sigmoid";
}

void doubt_losses(Understanding& u, const std::string& kind) {
  for (const std::string& loss : u.settings.list("loss_type"))
    if (loss != usual_loss(kind))
      u.doubt("loss_type: " + loss + ": what it makes otherwise than the default is not modelled");
  Settings& s = u.settings;
  if (const std::string strategy = s.text("eval_strategy"); strategy.empty() || strategy == "no") return;
  u.doubt("eval_strategy: an evaluation is not modelled beside " + kind);
  s.put("eval_strategy", "no");
}

/// Which of CPOTrainer's losses it is: SimPO's is without that of the chosen sequences (cpo_alpha 0; alphapo says
/// both).
std::string cpo_kind(const Settings& s) {
  const std::string loss = s.text("loss_type");
  const bool has_no_alpha = s.says("cpo_alpha") && s.number("cpo_alpha") == 0;
  return loss == "alphapo" || has_no_alpha ? "simpo" : "cpo";
}

/// DPOTrainer and its like: rows are pairs or rated, and the reference is made as the trainer makes it.
void prepare_pairs(Understanding& u, const std::string& kind) {
  Settings& s = u.settings;
  const std::string objective = kind == "cpo" ? cpo_kind(s) : kind;
  u.set("objective", objective);
  if (kind == "reward") u.set("task", "sequence-classification");
  if (kind == "reward" && s.text("lora_task_type") == "SEQ_CLS")
    u.set("lora-modules-to-save", "score");  // as PEFT does
  if (s.flag("precompute_ref_log_probs")) u.set("reference", "precomputed");
  doubt_losses(u, objective);
}

/// vLLM beside the trainer: of its share of the card nothing is left to it, unless it sleeps while it trains.
void prepare_vllm(Understanding& u) {
  const Settings& s = u.settings;
  u.set("sampler", "vllm");
  if (s.text("vllm_mode") == "server") return;
  const double share = s.number("vllm_gpu_memory_utilization").value_or(0);
  const std::string percent = std::to_string(std::lround(share * 100)) + "%";
  const bool sleeps = s.flag("vllm_enable_sleep_mode");
  u.assumptions.push_back("vLLM: " + percent + " of the card, its own copy of the weights in it" +
                          (sleeps ? "; asleep while the model trains, it gives that back" : ""));
  if (!sleeps && u.is_given("gpu") && share > 0 && share < 1) u.set("headroom", percent);
}

/// GRPOTrainer: rows are prompts and completions together, and only the latter have a bound.
void prepare_grpo(Understanding& u) {
  Settings& s = u.settings;
  u.set("objective", "grpo");
  const int64_t completion = s.size("max_completion_length").value_or(512);
  u.set("completion", completion);
  if (const auto prompt = s.size("max_prompt_length"))
    s.put("max_length", size_value(*prompt + completion));
  else if (!u.is_given("seq"))
    u.missing.push_back("the tokens of a prompt and its completion of " + std::to_string(completion) +
                        " together (--seq 1024)");
  if (s.number("beta").value_or(0) != 0) u.set("reference", s.flag("use_peft") ? "adapter" : "copy");
  if (s.flag("use_vllm")) prepare_vllm(u);
  doubt_losses(u, "grpo");
  for (const char* key : {"num_iterations", "steps_per_generation", "generation_batch_size"})
    if (s.says(key) && !(std::string_view(key) == "num_iterations" && s.size(key) == 1))
      u.doubt(std::string(key) + ": " + s.text(key) +
              ": completions that serve several steps keep a number a token more");
}

/// Under ZeRO 3 checkpoints beside adapters are reentrant, whatever the file says.
void prepare_checkpoints(Understanding& u) {
  Settings& s = u.settings;
  const std::string* stage = Options(u.given).text("zero");
  const std::string said = stage != nullptr ? *stage : s.text("zero.stage");
  if (said == "3" && s.flag("use_peft")) s.put("gradient_checkpointing_kwargs.use_reentrant", flag_value(true));
}

}  // namespace

void prepare_trl(Understanding& u) {
  Settings& s = u.settings;
  take_preset(u);
  prepare_checkpoints(u);
  if (!s.says("bf16") && !s.flag("fp16")) s.put("bf16", flag_value(true));
  const std::string kind = kind_of(u);
  for (const char* known : {"dpo", "reward", "kto", "orpo", "cpo"})
    if (kind == known) return prepare_pairs(u, kind);
  if (kind == "grpo") return prepare_grpo(u);
  if (kind != "sft") return refuse_kind(u, kind);
  const bool flat = (s.flag("packing") && s.text("packing_strategy") != "wrapped") || s.flag("padding_free");
  if (flat) flatten_rows(u);
  if (flat) s.put("packing", flag_value(true));
}

}  // namespace peakmem
