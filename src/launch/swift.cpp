// ms-swift 4.6: accumulation up to 16 rows in all, precision by the weights' dtype, presets.
#include <algorithm>

#include "launch/prepare.h"

namespace peakmem {
namespace {

/// Without a number, as many micro-batches as make 16 rows over all ranks.
void take_accumulation(Understanding& u) {
  Settings& s = u.settings;
  if (const auto said = s.size("swift.accumulate")) return s.put("gradient_accumulation_steps", size_value(*said));
  const Options given(u.given);
  int64_t ranks = given.size("ddp").value_or(given.size("fsdp").value_or(0));
  if (ranks == 0) ranks = ranks_said(u).value_or(1);
  const int64_t rows = std::max<int64_t>(1, s.size("per_device_train_batch_size").value_or(1)) * ranks;
  const int64_t accumulate = std::max<int64_t>(1, (16 + rows - 1) / rows);
  s.put("gradient_accumulation_steps", size_value(accumulate));
  u.assumptions.push_back("gradient_accumulation_steps: " + std::to_string(accumulate) +
                          ", up to 16 rows over all ranks");
}

/// torch_dtype is the checkpoint's unless said; autocast follows it: bf16 for bf16, fp16 for the others.
void take_precision(Understanding& u) {
  Settings& s = u.settings;
  const std::string dtype = s.text("dtype");
  const bool brain = dtype.empty() || dtype == "bfloat16" || dtype == "auto";
  if (dtype.empty()) s.put("dtype", "checkpoint");
  if (s.says("bf16") || s.says("fp16")) return;
  s.put("bf16", flag_value(brain));
  s.put("fp16", flag_value(!brain));
}

void take_adapter(Understanding& u) {
  Settings& s = u.settings;
  const std::string type = s.text("tuner_type");
  if (type == "full") return;
  if (type != "lora") return u.refuse("tuner_type", "is not modelled: lora and full are");
  s.put("use_peft", flag_value(true));
  if (s.text("quantization_method").empty()) s.put("quantization_method", "bnb");
  take_quantization_bit(u);
  if (const std::string dtype = s.text("swift.lora_dtype"); !dtype.empty() && dtype != "float32")
    u.set("lora-dtype", "model");
}

}  // namespace

void prepare_swift(Understanding& u) {
  Settings& s = u.settings;
  take_accumulation(u);
  take_precision(u);
  take_adapter(u);
  if (const std::string fsdp = s.text("swift.fsdp"); fsdp == "fsdp2") {
    s.put("distributed_type", "FSDP");
    s.put("fsdp_config.activation_checkpointing", flag_value(true));
  } else if (!fsdp.empty() && fsdp != "none") {
    u.refuse("swift.fsdp", "is not modelled: fsdp2 is");
  }
  const std::string words = " " + s.text("words") + " ";
  std::string kind = s.text("kind");
  if (kind.empty() && words.find(" rlhf ") != std::string::npos) kind = "dpo";
  if (!kind.empty()) return refuse_kind(u, kind);
  if (s.flag("packing") || s.flag("padding_free")) {
    flatten_rows(u);
    s.put("packing", flag_value(true));
  }
  if (!s.size("max_length") && !u.is_given("seq"))
    u.doubt("max_length: unset, rows may be as long as the model has positions");
  if (s.list("visible_devices").size() > 1 && !s.says("ranks") && s.text("nproc_per_node").empty())
    u.doubt(
        "CUDA_VISIBLE_DEVICES: several cards without NPROC_PER_NODE: the layers are spread over them, one card after "
        "the other");
}

}  // namespace peakmem
