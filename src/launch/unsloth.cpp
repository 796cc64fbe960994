// unsloth 2026.10: its runtime is none that is modelled, so the nearest that is goes into the refusal.
#include "launch/prepare.h"

namespace peakmem {

void prepare_unsloth(Understanding& u) {
  Settings& s = u.settings;
  const bool full = s.flag("full_finetuning");
  s.put("use_peft", flag_value(!full));
  if (full || s.flag("load_in_8bit") || s.flag("load_in_16bit")) s.put("load_in_4bit", flag_value(false));
  s.put("double_quant", flag_value(true));
  const std::string how = s.text("unsloth.checkpointing");
  s.put("gradient_checkpointing", flag_value(how != "false"));
  if (!s.says("bf16") && !s.flag("fp16")) s.put("bf16", flag_value(true));
  if (s.says("num_generations") || s.says("max_completion_length") || s.flag("use_vllm")) return refuse_kind(u, "grpo");
  std::string why =
      "unsloth is not modelled: its kernels keep fewer tensors than PEFT's layers, and its loss is in chunks "
      "sized by the free memory of the card";
  if (how == "unsloth") why += "; the inputs of checkpointed layers are kept on the host";
  s.refused.push_back(why);
}

}  // namespace peakmem
