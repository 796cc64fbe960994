#include "request/stored_weights.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "size/wording.h"

namespace peakmem {
namespace {

constexpr std::string_view kField = "quantization_config";

/// Weights as bitsandbytes stores them.
struct Stored {
  std::string format;  // a value of --quantize; empty where they are whole
  bool double_quant = false;
};

/// What others store weights as, and what of it is not known here; whether transformers 5.23 trains adapters beside
/// them (quantizers/quantizer_*.py, is_trainable).
struct Method {
  std::string_view name, stores;
  bool is_trainable;
};
constexpr std::array kMethods = {
    Method{"gptq", "integers packed in int32 with scales and zeros of groups, which GPTQModel's kernels unpack", true},
    Method{"awq", "integers packed in int32 with scales and zeros of groups, which GPTQModel's kernels unpack", true},
    Method{"hqq", "packed bytes with scales and zeros of groups, which HQQ makes whole for every product", true},
    Method{"fp8", "float8 with a scale for each block, which Triton's kernels multiply with", true},
    Method{"compressed-tensors", "what its config groups say, made whole or not by its run_compressed", true},
    Method{"torchao", "subclasses of tensors, by its quant_type", true},
    Method{"fbgemm_fp8", "float8 with a scale for each row", false},
    Method{"mxfp4", "4-bit blocks with a scale each", false},
};

/// The row of that name, or null.
const Method* find_method(std::string_view name) {
  for (const Method& method : kMethods)
    if (method.name == name) return &method;
  return nullptr;
}

Error refused(const std::string& name) {
  const Method* row = find_method(name);
  if (row == nullptr)
    return Error{std::string(kField), "stores weights by " + in_quotes(name) + ", which is not modelled",
                 "known: bitsandbytes; remove it to estimate the model without it"};
  const std::string problem = std::string("stores weights by ") + std::string(row->name) + ": " +
                              std::string(row->stores) + (row->is_trainable ? "; no record has what that takes" : "");
  return Error{std::string(kField), problem + (row->is_trainable ? "" : "; transformers trains nothing beside them"),
               row->is_trainable ? "remove it, and pass --quantize nf4 or int8 for bitsandbytes' of the model"
                                 : "remove it to estimate the model without it"};
}

bool flag(const Value& config, const char* name) {
  const Value* value = config.find(name);
  return value != nullptr && value->boolean;
}

std::string text(const Value& config, const char* name, const char* otherwise) {
  const Value* value = config.find(name);
  return value == nullptr || value->is_null() ? otherwise : value->string;
}

/// What of a bitsandbytes config would change bytes and is not modelled.
std::optional<Error> check(const Value& config) {
  const std::string within = std::string(kField) + ".";
  const Value* skipped = config.find("llm_int8_skip_modules");
  const bool skips = skipped != nullptr && std::any_of(skipped->items.begin(), skipped->items.end(),
                                                       [](const Value& name) { return name.string != "lm_head"; });
  if (skips) return Error{within + "llm_int8_skip_modules", "leaves other modules whole than the head", {}};
  if (flag(config, "llm_int8_enable_fp32_cpu_offload"))
    return Error{within + "llm_int8_enable_fp32_cpu_offload", "keeps modules on the host, which is not modelled", {}};
  if (const std::string storage = text(config, "bnb_4bit_quant_storage", "uint8"); storage != "uint8")
    return Error{within + "bnb_4bit_quant_storage", in_quotes(storage) + " is not modelled", "uint8 is"};
  return std::nullopt;
}

Result<Stored> of_config(const Value& config) {
  const std::string method = text(config, "quant_method", "bitsandbytes");
  if (method != "bitsandbytes") return refused(method);
  if (auto wrong = check(config)) return *wrong;
  if (flag(config, "load_in_8bit") || flag(config, "_load_in_8bit")) return Stored{"int8"};
  if (!flag(config, "load_in_4bit") && !flag(config, "_load_in_4bit")) return Stored{};
  const std::string type = text(config, "bnb_4bit_quant_type", "fp4");
  if (type != "nf4" && type != "fp4")
    return Error{std::string(kField) + ".bnb_4bit_quant_type", in_quotes(type) + " is not known", "nf4 and fp4 are"};
  return Stored{type, flag(config, "bnb_4bit_use_double_quant")};
}

Stored of_name(const std::string& name) {
  std::string low = name;
  for (char& c : low)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return low.ends_with("bnb-4bit") ? Stored{"nf4", true} : low.ends_with("bnb-8bit") ? Stored{"int8"} : Stored{};
}

}  // namespace

Result<OptionValues> stored_options(NamedConfig& model, const OptionValues& values,
                                    std::vector<std::string>& assumptions) {
  OptionValues all = values;
  const Value* config = model.config.find(kField);
  const bool says = config != nullptr && config->kind == Value::Kind::kObject;
  const Result<Stored> stored = says ? of_config(*config) : of_name(model.stands_for);
  if (!stored) return stored.error();
  std::erase_if(model.config.members,
                [](const Member& member) { return member.name == kField && !member.value.is_null(); });
  if (stored->format.empty() || Options(values).has("quantize")) return all;
  all.push_back({"quantize", stored->format});
  if (stored->double_quant) all.push_back({"double-quant", "true"});
  assumptions.push_back("quantize: " + stored->format + (stored->double_quant ? ", double quantized" : "") +
                        (says ? ", as the config's " + std::string(kField) + " says" : ", as its name says"));
  return all;
}

}  // namespace peakmem
