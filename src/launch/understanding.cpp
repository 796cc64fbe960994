#include "launch/understanding.h"

#include <algorithm>
#include <array>

#include "launch/table.h"
#include "request/words.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kAttentions = {
    {{"eager", "eager"},
     {"disabled", "eager"},
     {"sdpa", "sdpa"},
     {"auto", "sdpa"},
     {"flash_attention_2", "flash2"},
     {"flash_attn", "flash2"},
     {"flash_attention", "flash2"},
     {"fa2", "flash2"},
     {"flash2", "flash2"},
     {"flash", "flash2"},
     {"none", "sdpa"},
     {"torch", "sdpa"},
     {"kernels-community/flash-attn", "flash2"},
     {"kernels-community/flash-attn2", "flash2"},
     {"true", "flash2"},
     {"", "sdpa"}}};

/// Why an optimizer is refused by name, `*` at a name's end standing for anything; empty where it is not known.
std::string_view refusal_of(std::string_view name) {
  for (const std::vector<std::string_view>& line : table_lines("optimizers")) {
    const bool begins = line[0].ends_with('*') && name.starts_with(line[0].substr(0, line[0].size() - 1));
    if (begins || line[0] == name) return line[1];
  }
  return {};
}

std::string known_optimizers() {
  std::string names;
  for (const OptimizerWord& word : optimizer_words()) add_to_list(names, word.name);
  return names;
}

const OptimizerWord* optimizer_word(std::string_view name) {
  for (const OptimizerWord& word : optimizer_words())
    if (word.name == name) return &word;
  return nullptr;
}

}  // namespace

void Understanding::set(std::string_view name, std::string_view text) {
  if (is_given(name)) return;
  for (OptionValue& option : options)
    if (option.name == name) {
      option.text = text;
      return;
    }
  options.push_back({std::string(name), std::string(text)});
}

bool Understanding::is_given(std::string_view name) const {
  const Options asked(given);
  if (asked.has(name)) return true;
  for (const char* open : {"for", "over"})
    if (const std::string* text = asked.text(open); text != nullptr && *text == name) return true;
  return false;
}

void Understanding::set(std::string_view name, int64_t size) { set(name, std::to_string(size)); }

void Understanding::doubt(std::string_view line) { settings.notes.not_understood.emplace_back(line); }

void Understanding::refuse(std::string_view slot, std::string_view why) {
  const Setting* setting = settings.find(slot);
  std::string what;
  if (setting != nullptr && setting->source != nullptr) what = place_of(*setting->source, setting->key) + ": ";
  if (setting != nullptr) what += setting->key + ": " + shown(setting->value) + " ";
  if (setting != nullptr && setting->source == nullptr && !setting->is_made) what += "(by default) ";
  settings.refused.push_back(what + std::string(why));
}

void understand_sizes(Understanding& u) {
  const Settings& s = u.settings;
  if (const auto rows = s.size("per_device_train_batch_size"))
    u.set("batch", *rows);
  else if (!u.is_given("batch"))
    u.missing.emplace_back("the rows of a micro-batch (--batch 1)");
  if (const auto accumulate = s.size("gradient_accumulation_steps")) u.set("accumulate", *accumulate);
  if (s.number("max_grad_norm").value_or(0) > 0) u.set("clip-grad", "true");
  if (u.is_given("seq")) return;
  const std::optional<int64_t> length = s.size("max_length");
  if (!length) {
    u.missing.emplace_back("the tokens of a row (--seq 2048)");
    return;
  }
  u.set("seq", *length);
  if (!s.flag("packing"))
    u.assumptions.push_back("rows as long as their bound of " + std::to_string(*length) + " tokens");
}

void understand_optimizer(Understanding& u) {
  if (u.is_given("optimizer")) return;
  const std::string name = u.settings.text("optim");
  if (name.empty()) {
    u.missing.emplace_back("the optimizer (--optimizer adamw)");
    return;
  }
  const OptimizerWord* word = optimizer_word(name);
  if (const std::string_view why = refusal_of(name); word == nullptr && !why.empty())
    return u.refuse("optim", "is refused: " + std::string(why));
  if (word == nullptr) return u.refuse("optim", "is no optimizer that is known here: " + known_optimizers());
  u.set("optimizer", word->optimizer);
  if (!word->implementation.empty()) u.set("optimizer-impl", word->implementation);
  const bool decays_in_gradient = name == "sgd" || name == "adagrad" || name == "rmsprop";
  if (decays_in_gradient && u.settings.number("weight_decay").value_or(0) != 0)
    u.doubt("weight_decay: the step of " + name + " allocates more with it");
}

// The new name is heard before the old one (training_args.py, __post_init__), also where it says no.
void understand_checkpointing(Understanding& u) {
  const Settings& s = u.settings;
  const bool is_new = s.says("activation_checkpointing");
  const bool arguments = s.flag(is_new ? "activation_checkpointing" : "gradient_checkpointing");
  const bool wrapper = s.flag("fsdp_config.activation_checkpointing");
  if (arguments && wrapper && s.says(is_new ? "activation_checkpointing" : "gradient_checkpointing"))
    u.doubt(
        "activation_checkpointing: is said of the arguments and of fsdp_config: layers are wrapped twice, and "
        "gathered once more");
  if (!arguments && !wrapper) return u.set("checkpointing", "none");
  if (wrapper) return u.set("checkpointing", "full");
  const std::string kwargs =
      s.says("activation_checkpointing_kwargs") ? "activation_checkpointing_kwargs" : "gradient_checkpointing_kwargs";
  // Without keywords transformers 5 takes use_reentrant false (modeling_utils.py); torch's own default is true.
  const bool has_keywords = s.flag(kwargs);
  const std::string slot = kwargs + ".use_reentrant";
  const bool reentrant = s.says(slot) ? s.flag(slot) : s.flag("use_reentrant") || (has_keywords && u.tool == "hf");
  u.set("checkpointing", reentrant ? "full-reentrant" : "full");
}

void understand_attention(Understanding& u) {
  const std::string name = u.settings.text("attn_implementation");
  if (name.empty() || u.is_given("attention")) return;
  for (const auto& [word, option] : kAttentions)
    if (word == name) return u.set("attention", option);
  u.refuse("attn_implementation", "is not modelled: eager, sdpa and flash_attention_2 are");
}

void understand_kernels(Understanding& u) {
  const Settings& s = u.settings;
  if (!s.flag("use_liger_kernel") || u.is_given("kernels")) return;
  const bool some = s.flag("liger_kernel_config");
  const bool own_loss = u.tool == "trl";  // SFTTrainer's chunked loss takes the place of Liger's
  if (!some && !own_loss) return u.set("kernels", "liger");
  const auto fused = [&](const char* key) {
    const std::string slot = std::string("liger_kernel_config.") + key;
    return s.says(slot) ? s.flag(slot) : !some;
  };
  if (fused("rms_norm")) u.set("norm", "fused");
  if (fused("swiglu")) u.set("mlp", "fused");
  if (fused("rope")) u.set("rope", "fused");
  if (fused("fused_linear_cross_entropy") && !own_loss) u.set("loss", "fused-linear");
  if (some && s.flag("liger_kernel_config.cross_entropy"))
    u.doubt("liger_kernel_config.cross_entropy: Liger's cross-entropy on whole logits is not modelled");
}

void understand_evaluation(Understanding& u) {
  const std::string strategy = u.settings.text("eval_strategy");
  if (strategy.empty() || strategy == "no" || strategy == "false" || u.is_given("eval-batch")) return;
  const int64_t rows = u.settings.size("per_device_eval_batch_size").value_or(8);
  u.set("eval-batch", rows);
  u.assumptions.push_back("evaluation of " + std::to_string(rows) + " rows, which may be the peak");
}

bool is_sharded(const Understanding& u) {
  return Options(u.options).has("fsdp") || Options(u.options).has("hsdp") || u.is_given("fsdp") || u.is_given("hsdp");
}

// axolotl puts a function of its own in the place of fsdp2_prepare_model; quantized weights, HSDP and an
// evaluation are known of a plain loop only.
bool takes_trainer_over_shards(const Understanding& u) {
  const Options set(u.options);
  if (u.settings.flag("fsdp_keeps_dtype") || u.is_given("fsdp-param-dtype") || u.is_given("fsdp-reduce-dtype"))
    return false;
  if (const std::string* trainer = Options(u.given).text("trainer")) return *trainer != "loop";
  for (const std::string_view name : {"hsdp", "quantize", "eval-batch"})
    if (u.is_given(name) || (set.has(name) && *set.text(name) != "none")) return false;
  return u.tool != "accelerate" && u.tool != "deepspeed";
}

void understand_loop(Understanding& u) {
  if (u.settings.flag("use_cache")) u.set("use-cache", "yes");
  const bool sharded = is_sharded(u);
  const bool is_trl = u.tool == "trl" || u.tool == "unsloth";
  if (u.tool == "accelerate" || u.tool == "deepspeed") return;  // the loop is the script's own
  if (!sharded || takes_trainer_over_shards(u)) return u.set("trainer", is_trl ? "trl" : "hf");
  if (is_trl) u.set("loss", "chunked");
  if (!u.is_given("trainer"))
    u.assumptions.emplace_back("trainer: a plain loop, for Trainer's over shards is not modelled with this");
}

}  // namespace peakmem
