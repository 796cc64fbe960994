// LLaMA-Factory 0.9.5: checkpointing of its own, trained weights made fp32, rows packed to the cutoff.
#include "launch/prepare.h"

namespace peakmem {
namespace {

/// Trained weights are made fp32 but for pure_bf16 (model/adapter.py); what stays frozen is as it was loaded.
void take_precision(Understanding& u) {
  Settings& s = u.settings;
  const bool full = s.text("finetuning_type") == "full";
  const bool pure = s.flag("pure_bf16");
  s.put("dtype", full && !pure ? "float32" : "bfloat16");
  if (pure) s.put("bf16", flag_value(false));
  if (!full || pure)
    u.assumptions.emplace_back("weights: bf16, as checkpoints mostly are (--precision fp32 for one that is not)");
}

void take_adapter(Understanding& u) {
  Settings& s = u.settings;
  const std::string type = s.text("finetuning_type");
  if (type == "full") return;
  if (type != "lora") return u.refuse("finetuning_type", "is not modelled: lora and full are");
  s.put("use_peft", flag_value(true));
  take_quantization_bit(u);
  if (s.flag("load_in_4bit"))
    s.put("upcast", s.flag("upcast_layernorm") ? "norms" : "none");  // no preparation of PEFT's
}

}  // namespace

void prepare_llamafactory(Understanding& u) {
  Settings& s = u.settings;
  take_precision(u);
  take_adapter(u);
  s.put("gradient_checkpointing", flag_value(!s.flag("disable_gradient_checkpointing")));
  if (s.text("distributed_type") == "FSDP" || !s.list("fsdp").empty()) s.put("use_reentrant", flag_value(false));
  const std::string kind = s.text("kind");
  if (kind != "sft" && kind != "pt") refuse_kind(u, kind);
  const bool packs = s.flag("packing") || s.flag("neat_packing") || (kind == "pt" && !s.says("packing"));
  s.put("packing", flag_value(packs));
  if (s.flag("neat_packing")) doubt_packed_attention(u);
  if (!s.says("ranks") && s.list("visible_devices").size() > 1)  // it starts torchrun over all of them
    s.put("ranks", size_value(static_cast<int64_t>(s.list("visible_devices").size())));
}

}  // namespace peakmem
