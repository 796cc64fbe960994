// LoRA and quantized weights.
#include "launch/table.h"
#include "launch/understanding.h"
#include "size/wording.h"

namespace peakmem {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

/// The modules that PEFT adapts where none are named.
std::string usual_targets(std::string_view model_type) {
  for (const std::vector<std::string_view>& line : table_lines("lora_targets"))
    if (line[0] == model_type) return std::string(line[1]);
  return {};
}

void understand_targets(Understanding& u) {
  const std::vector<std::string> targets = u.settings.list("lora_target_modules");
  if (u.is_given("lora-targets")) return;
  if (targets.size() == 1 && (targets[0] == "all-linear" || targets[0] == "all"))
    return u.set("lora-targets", "all-linear");
  if (!targets.empty()) return u.set("lora-targets", joined(targets));
  const std::string usual = usual_targets(u.model_type);
  if (usual.empty()) {
    u.missing.emplace_back("the modules that adapters stand beside (--lora-targets all-linear)");
    return;
  }
  u.assumptions.push_back("lora-targets: " + usual + ", as PEFT takes for " + u.model_type);
  u.set("lora-targets", usual);
}

void understand_quantization(Understanding& u) {
  const Settings& s = u.settings;
  if (s.flag("load_in_8bit")) return u.set("quantize", "int8");
  if (!s.flag("load_in_4bit")) return;
  const std::string type = s.text("bnb_4bit_quant_type");
  if (type == "nf4" || type == "fp4" || type.empty())
    u.set("quantize", type.empty() ? "nf4" : type);
  else
    u.refuse("bnb_4bit_quant_type", "is no 4-bit type that is modelled: nf4 and fp4 are");
  if (s.flag("double_quant")) u.set("double-quant", "true");
  if (const std::string upcast = s.text("upcast"); !upcast.empty()) u.set("upcast", upcast);
}

}  // namespace

void understand_adapters(Understanding& u) {
  const Settings& s = u.settings;
  understand_quantization(u);
  if (!s.flag("use_peft")) {
    if (s.flag("load_in_4bit") || s.flag("load_in_8bit"))
      u.settings.refused.emplace_back(
          "the weights are quantized and nothing is trained beside them: no adapter is said");
    return;
  }
  if (const auto rank = s.size("lora_r"))
    u.set("lora-rank", *rank);
  else if (!u.is_given("lora-rank"))
    u.missing.emplace_back("the adapters' rank (--lora-rank 16)");
  understand_targets(u);
  if (const auto dropout = s.number("lora_dropout"); dropout.value_or(0) > 0)
    u.set("lora-dropout", s.text("lora_dropout"));
  if (const std::vector<std::string> saved = s.list("lora_modules_to_save"); !saved.empty())
    u.set("lora-modules-to-save", joined(saved));
}

}  // namespace peakmem
