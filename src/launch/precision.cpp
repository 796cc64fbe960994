// In which dtype weights lie, and what runs over them.
#include "launch/understanding.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// A dtype's name as options have it; empty where it is none that is trained in.
std::string dtype_of(std::string name) {
  if (name.starts_with("torch.")) name.erase(0, 6);
  for (const auto& [word, dtype] :
       {std::pair("float32", "fp32"), std::pair("fp32", "fp32"), std::pair("no", "fp32"), std::pair("bfloat16", "bf16"),
        std::pair("bf16", "bf16"), std::pair("float16", "fp16"), std::pair("fp16", "fp16"), std::pair("half", "fp16")})
    if (name == word) return dtype;
  return {};
}

/// The dtype of autocast, "" for none: the arguments are heard before accelerate's file.
std::string autocast_of(Understanding& u) {
  const Settings& s = u.settings;
  const bool bf16 = s.flag("bf16");
  const bool fp16 = s.flag("fp16");
  if (bf16 && fp16) {
    const Setting& one = *s.find("bf16");
    const Setting& other = *s.find("fp16");
    const auto place = [](const Setting& setting) {
      return setting.source == nullptr ? "the tool's default" : place_of(*setting.source, setting.key);
    };
    u.settings.refused.push_back("bf16 (" + place(one) + ") and fp16 (" + place(other) + ") are both true: drop one");
  }
  if (bf16) return "bf16";
  if (fp16) return "fp16";
  const std::string mixed = dtype_of(s.text("mixed_precision"));
  return mixed == "fp32" ? "" : mixed;
}

/// Weights as they are loaded.
std::string weights_of(Understanding& u) {
  const std::string said = u.settings.text("dtype");
  if (said == "auto" || said == "checkpoint") {
    u.assumptions.emplace_back("weights: bf16, as checkpoints mostly are (--precision fp32 for one that is not)");
    return "bf16";
  }
  if (!said.empty()) {
    const std::string dtype = dtype_of(said);
    if (dtype.empty()) u.refuse("dtype", "is no dtype that is modelled: float32, bfloat16, float16 are");
    return dtype;
  }
  if (!u.is_given("precision"))
    u.assumptions.emplace_back(
        "weights: float32, for the files do not say what from_pretrained loads; transformers 5 takes the checkpoint's "
        "dtype unless told (--precision bf16)");
  return "fp32";
}

}  // namespace

void understand_precision(Understanding& u) {
  const std::string weights = weights_of(u);
  const std::string autocast = autocast_of(u);
  if (is_sharded(u) && !autocast.empty() && !takes_trainer_over_shards(u)) {
    // accelerate 1.15 (accelerator.py, fsdp2_prepare_model): a policy of that dtype, over what is trained in fp32.
    const bool adapts = Options(u.options).has("lora-rank") || u.is_given("lora-rank");
    u.set("precision", u.settings.flag("fsdp_keeps_dtype") || adapts ? weights : "fp32");
    u.set("fsdp-param-dtype", autocast);
    u.set("fsdp-reduce-dtype", autocast);
    return;
  }
  const std::string* given = Options(u.given).text("precision");
  if (given != nullptr) {
    if (!autocast.empty() && !given->ends_with("-mixed")) u.set("autocast", autocast);
    return;
  }
  if (autocast.empty()) return u.set("precision", weights);
  if (weights == "fp32") return u.set("precision", autocast + "-mixed");
  u.set("precision", weights);
  u.set("autocast", autocast);
}

}  // namespace peakmem
