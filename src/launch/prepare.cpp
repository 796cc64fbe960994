#include "launch/prepare.h"

#include <algorithm>
#include <array>

namespace peakmem {
namespace {

using Preparation = std::pair<std::string_view, void (*)(Understanding&)>;
constexpr std::array kPreparations = {Preparation{"trl", prepare_trl}, Preparation{"axolotl", prepare_axolotl},
                                      Preparation{"llamafactory", prepare_llamafactory},
                                      Preparation{"swift", prepare_swift}, Preparation{"unsloth", prepare_unsloth}};

constexpr std::array kOwnStacks = {OwnStack{"torchtitan", name_torchtitan, understand_torchtitan},
                                   OwnStack{"megatron", nullptr, understand_megatron}};

}  // namespace

const OwnStack* own_stack(std::string_view tool) {
  for (const OwnStack& stack : kOwnStacks)
    if (stack.tool == tool) return &stack;
  return nullptr;
}

Value size_value(int64_t size) {
  return {.kind = Value::Kind::kInteger, .integer = size, .real = static_cast<double>(size)};
}

Value flag_value(bool flag) { return {.kind = Value::Kind::kBool, .boolean = flag}; }

void refuse_kind(Understanding& u, const std::string& kind) {
  const Settings& s = u.settings;
  const std::string rows = s.text("per_device_train_batch_size") + " rows of up to ";
  std::string needs = "the reference model" +
                      std::string(s.flag("use_peft") ? " (the adapter switched off)" : " (a frozen copy)") +
                      " and its loss over pairs, twice " + rows + s.text("max_length") + " tokens";
  if (kind == "grpo" || kind == "rloo" || kind == "ppo")
    needs = "the generation beside (vLLM's share of the card), and the pass over completions of " +
            s.text("max_completion_length") + " tokens";
  if (kind == "reward" || kind == "rm") needs = "the reward head over pairs";
  if (kind == "orpo" || kind == "simpo" || kind == "cpo")
    needs = "its loss over pairs, twice " + rows + s.text("max_length") + " tokens";
  u.settings.refused.push_back(kind + " is not modelled: it needs " + needs);
}

bool is_flash(const Settings& s) {
  const std::string attention = s.text("attn_implementation");
  return attention.find("flash") != std::string::npos || attention == "fa2";
}

void doubt_packed_attention(Understanding& u) {
  if (!is_flash(u.settings))
    u.doubt("packing: without flash attention a mask over the row's tokens may be built, which is not modelled");
}

void flatten_rows(Understanding& u) {
  const Settings& s = u.settings;
  const int64_t rows = s.size("per_device_train_batch_size").value_or(1);
  const int64_t length = s.size("max_length").value_or(0);
  if (length <= 0 || rows <= 0 || length > (int64_t{1} << 31) / rows) return;
  u.settings.put("per_device_train_batch_size", size_value(1));
  u.settings.put("max_length", size_value(rows * length));
  u.assumptions.push_back("packed: one row of up to " + std::to_string(rows * length) + " tokens");
  doubt_packed_attention(u);
}

void take_quantization_bit(Understanding& u) {
  Settings& s = u.settings;
  const std::optional<int64_t> bits = s.size("quantization_bit");
  if (!bits) return;
  const std::string method = s.text("quantization_method");
  if (!method.empty() && method != "bnb") return u.refuse("quantization_method", "is not modelled: bnb is");
  if (*bits != 4 && *bits != 8) return u.refuse("quantization_bit", "is not modelled: 4 and 8 are");
  s.put(*bits == 4 ? "load_in_4bit" : "load_in_8bit", flag_value(true));
}

void prepare(Understanding& u) {
  for (const auto& [tool, prepare_tool] : kPreparations)
    if (tool == u.tool) prepare_tool(u);
}

}  // namespace peakmem
