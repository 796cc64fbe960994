// axolotl 0.21: bf16 weights, packing by the attention, plugins, FSDP2 that keeps its shards' dtype.
#include <algorithm>

#include "launch/prepare.h"

namespace peakmem {
namespace {

/// The older flags, of which one names the attention.
void take_attention(Understanding& u) {
  Settings& s = u.settings;
  if (s.says("attn_implementation")) return;
  for (const auto& [flag, name] :
       {std::pair("flash_attention", "flash_attention_2"), std::pair("sdp_attention", "sdpa"),
        std::pair("eager_attention", "eager"), std::pair("xformers_attention", "xformers"),
        std::pair("flex_attention", "flex_attention"), std::pair("s2_attention", "s2")})
    if (s.flag(flag)) s.put("attn_implementation", name);
}

/// One row of all tokens under flash attention, rows under sdpa and eager, unless the file says otherwise.
void take_packing(Understanding& u) {
  Settings& s = u.settings;
  if (!s.flag("packing")) return;
  const bool real = s.says("multipack_real_batches") ? s.flag("multipack_real_batches") : !is_flash(s);
  if (!real) return flatten_rows(u);
  doubt_packed_attention(u);
}

/// `batch_size` is of one rank's whole accumulation.
void take_accumulation(Understanding& u) {
  Settings& s = u.settings;
  const std::optional<int64_t> all = s.size("axolotl.batch_size");
  const int64_t rows = s.size("per_device_train_batch_size").value_or(1);
  if (!all || s.says("gradient_accumulation_steps") || rows < 1) return;
  s.put("gradient_accumulation_steps", size_value(std::max<int64_t>(1, *all / rows)));
}

void take_adapter(Understanding& u) {
  Settings& s = u.settings;
  const std::string adapter = s.text("adapter");
  if (adapter.empty()) return;
  if (adapter != "lora" && adapter != "qlora") return u.refuse("adapter", "is not modelled: lora and qlora are");
  s.put("use_peft", flag_value(true));
  if (adapter == "qlora" && !s.flag("load_in_4bit")) u.refuse("adapter", "needs load_in_4bit, as axolotl has it");
  s.put("double_quant", flag_value(true));
  if (s.flag("lora_target_linear"))
    s.put("lora_target_modules",
          Value{.kind = Value::Kind::kList, .items = {{.kind = Value::Kind::kString, .string = "all-linear"}}});
  if (s.flag("load_in_4bit") || s.flag("load_in_8bit"))
    u.doubt(
        "adapter: beside quantized weights axolotl casts norms, embeddings and head back to bf16 after PEFT's "
        "preparation (--upcast none); they are taken as fp32, but beside its cut cross-entropy");
  bool said = s.flag("load_in_8bit");  // with which they stay off
  for (const char* key : {"lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel"}) {
    said = said || s.says(key);
    if (s.flag(key))
      u.doubt(std::string(key) + ": axolotl's LoRA kernels keep fewer tensors than PEFT's layers, which are taken");
  }
  if (!said)
    u.doubt(
        "lora_mlp_kernel, lora_qkv_kernel, lora_o_kernel: unset, axolotl switches its LoRA kernels on, which keep "
        "fewer "
        "tensors than PEFT's layers, which are taken");
}

void take_checkpointing(Understanding& u) {
  Settings& s = u.settings;
  const std::string how = s.text("axolotl.gradient_checkpointing");
  if (how == "offload" || how == "offload_disk" || how == "unsloth")
    u.refuse("axolotl.gradient_checkpointing",
             "keeps the inputs of checkpointed layers on the host, which is not modelled");
  s.put("gradient_checkpointing", flag_value(how == "true"));
}

/// The plugin alone does it, unless the file switches it off; what 4 and 8 bits leave is cast back to bf16 for it
/// (axolotl 0.19, loaders/model.py, _configure_embedding_dtypes).
void take_cut_loss(Understanding& u) {
  Settings& s = u.settings;
  if (s.says("cut_cross_entropy") && !s.flag("cut_cross_entropy")) return;
  u.set("loss", "cut");
  if (s.flag("load_in_4bit") || s.flag("load_in_8bit")) s.put("upcast", "none");
}

void take_plugins(Understanding& u) {
  Settings& s = u.settings;
  bool liger = false;
  for (const std::string& plugin : s.list("plugins")) {
    if (plugin.ends_with("LigerPlugin"))
      liger = true;
    else if (plugin.ends_with("CutCrossEntropyPlugin"))
      take_cut_loss(u);
    else
      u.doubt("plugins: " + plugin.substr(0, 60) + ": is not known here");
  }
  if (!liger) return;
  s.put("use_liger_kernel", flag_value(true));
  s.put("liger_kernel_config", flag_value(true));
}

void take_fsdp(Understanding& u) {
  Settings& s = u.settings;
  const bool given = u.is_given("fsdp") || u.is_given("hsdp") || u.is_given("ddp");
  if (s.says("axolotl.fsdp") && !given)
    u.refuse("axolotl.fsdp", "is FSDP1, gone from axolotl 0.21 (--fsdp N takes it as FSDP2)");
  if (s.says("axolotl.fsdp") && given)
    u.assumptions.emplace_back("fsdp: the list of axolotl before 0.21 taken as FSDP2");
  if (s.flag("fsdp_config") || s.says("axolotl.fsdp")) s.put("distributed_type", "FSDP");
  s.put("fsdp_keeps_dtype", flag_value(true));
  const std::string optimizer = s.text("optim");
  if (s.flag("fsdp_config") && (optimizer == "adamw_8bit" || optimizer == "adamw_bnb_8bit"))
    u.refuse("optim", "fails over FSDP2, as axolotl says itself");
}

/// bf16 where the card has it; weights are loaded in it, but beside 4 bits what is left is made fp32.
void take_precision(Understanding& u) {
  Settings& s = u.settings;
  const std::string bf16 = s.text("axolotl.bf16");
  const bool half = s.text("axolotl.fp16") == "true" || s.flag("pure_fp16");
  const bool brain = bf16 == "true" || (bf16 == "auto" && !half) || s.flag("pure_bf16");
  const bool pure = s.flag("pure_bf16") || s.flag("pure_fp16");
  s.put("bf16", flag_value(brain && !pure));
  s.put("fp16", flag_value(half && !brain && !pure));
  s.put("dtype", s.flag("load_in_4bit") ? "float32" : brain ? "bfloat16" : half ? "float16" : "float32");
  if (bf16 == "auto") u.assumptions.emplace_back("bf16: auto, on a card that has it");
  const bool plain = s.text("adapter").empty() && s.text("distributed_type") != "FSDP" && !is_flash(s);
  if (plain && brain)
    u.doubt(
        "bf16: without an adapter, FSDP or flash attention axolotl makes norms and embeddings fp32, which is not "
        "modelled");
}

}  // namespace

void prepare_axolotl(Understanding& u) {
  take_attention(u);
  take_accumulation(u);
  take_packing(u);
  take_adapter(u);
  take_checkpointing(u);
  take_plugins(u);
  take_fsdp(u);
  take_precision(u);
  std::string kind = u.settings.text("kind");
  if (u.settings.flag("reward_model") || u.settings.flag("process_reward_model")) kind = "reward";
  if (!kind.empty()) refuse_kind(u, kind);
}

}  // namespace peakmem
