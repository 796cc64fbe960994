#include "request/stack.h"

#include <algorithm>
#include <array>
#include <span>

#include "request/choices.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// What an older transformers was held to.
struct OlderVersion {
  Transformers transformers;
  std::span<const std::string_view> families;
};
constexpr auto kFamiliesOf448 =
    std::to_array<std::string_view>({"llama", "mistral", "mixtral", "granite", "gpt_bigcode"});
constexpr auto kFamiliesOf445 = std::to_array<std::string_view>({"granite"});
constexpr auto kOlder =
    std::to_array<OlderVersion>({{Transformers::kV448, kFamiliesOf448}, {Transformers::kV445, kFamiliesOf445}});

std::string_view ranks_option(const Recipe& recipe) {
  return recipe.ddp.ranks > 1 ? "ddp" : recipe.sharding.hybrid ? "hsdp" : "fsdp";
}

/// Whether the older code makes an attention mask, which is not traced.
bool makes_mask(const Job& job) {
  const Description& d = job.description;
  const Recipe& recipe = job.recipe;
  const bool windowed = std::any_of(d.runs.begin(), d.runs.end(), [](const LayerRun& run) { return run.has(true); });
  return recipe.attention == Attention::kEager ||
         (recipe.attention == Attention::kSdpa && windowed && d.window_cuts(recipe.seq));
}

/// Where fa_peft_integration_check of 4.48 (modeling_flash_attention_utils.py) casts none of what the rotary embedding
/// made fp32: its tables have the weights' dtype, queries and keys autocast's. Beside packed weights values are fp32
/// too, and all are cast.
bool fails_in_flash(const Job& job) {
  const Recipe& recipe = job.recipe;
  return recipe.transformers == Transformers::kV448 && recipe.attention == Attention::kFlash2 &&
         job.description.family != "gpt_bigcode" && recipe.autocast.value_or(recipe.weights) != recipe.weights &&
         recipe.quantize == Quantize::kNone;
}

std::optional<Error> check_older(const OlderVersion& version, const Job& job) {
  const Description& d = job.description;
  const Recipe& recipe = job.recipe;
  const auto not_modelled = [&](const std::string& what, std::string_view hint) {
    return Error{"--transformers",
                 std::string(name_in(kTransformers, version.transformers)) + " is not modelled " + what, hint};
  };
  if (std::find(version.families.begin(), version.families.end(), d.family) == version.families.end())
    return not_modelled("for " + d.family, "known for it: " + list_of(version.families));
  if (d.task != Task::kCausalLm) return not_modelled("for this task", "known for it: causal-lm");
  if (d.experts > 0 && recipe.experts == Experts::kGrouped)
    return Error{"--experts", "cannot be grouped: transformers of that age runs one expert after another",
                 "pass --experts loop"};
  if (d.experts > 0 && recipe.quantize != Quantize::kNone && !recipe.imbalance.balanced())
    return not_modelled("for quantized experts that are not balanced", "drop --moe-imbalance");
  if (d.family == "gpt_bigcode" && recipe.attention != Attention::kFlash2)
    return not_modelled("for gpt_bigcode without flash attention", "pass --attention flash2");
  if (fails_in_flash(job))
    return Error{"--attention",
                 "cannot be flash2: in transformers 4.48 queries and keys leave the rotary embedding in fp32 under "
                 "autocast, and only values' dtype is looked at: \"FlashAttention only support fp16 and bf16\"",
                 "pass --precision bf16, or --attention sdpa"};
  if (version.transformers == Transformers::kV445 && d.heads * d.head_dim != d.hidden)
    return Error{"--transformers",
                 "4.45 fails with a head_dim of " + std::to_string(d.head_dim) + ": " + d.family +
                     "'s attention takes hidden_size / num_attention_heads, its rotary embedding head_dim",
                 "pass --transformers 4.48, or leave head_dim out of the config"};
  if (makes_mask(job))
    return not_modelled("where attention needs a mask",
                        "pass --attention flash2, or a sequence shorter than the window");
  if (is_wrapped(recipe.sharding) || recipe.ddp.ranks > 1)
    return not_modelled("over ranks", "drop --" + std::string(ranks_option(recipe)));
  if (recipe.seq == 1) return not_modelled("for sequences of one token", "its loss has nothing to predict");
  if (version.transformers == Transformers::kV445 && recipe.trainer->is_transformers_loop && recipe.accumulate > 1)
    return not_modelled("for a trainer that accumulates", "drop --accumulate");
  return std::nullopt;
}

/// The modelling code must be one that the trainer runs on.
std::optional<Error> check_transformers(const Job& job) {
  const Recipe& recipe = job.recipe;
  const Transformers of_trainer = recipe.trainer->transformers;
  if (recipe.trainer->runs_no_other && recipe.transformers != of_trainer)
    return Error{"--transformers", std::string(recipe.trainer->title) + " does not run on that version",
                 "pass --transformers " + std::string(name_in(kTransformers, of_trainer))};
  for (const OlderVersion& version : kOlder)
    if (version.transformers == recipe.transformers) return check_older(version, job);
  return std::nullopt;
}

std::optional<Error> check_trainer(const Job& job) {
  const Recipe& recipe = job.recipe;
  const std::string name(recipe.trainer->name);
  if (recipe.names != LoopNames::kNothing && recipe.trainer->names == LoopNames::kNothing)
    return Error{"--keep-outputs",
                 "cannot be " + std::string(name_in(kLoopNames, recipe.names)) + ": " +
                     std::string(recipe.trainer->title) + " lets go of all but what it reports",
                 "drop it, or --trainer " + name};
  if (!recipe.trainer->is_transformers_loop) return std::nullopt;
  const bool trains_rewards = recipe.objective == Objective::kReward;
  if (recipe.trainer->runs_no_other && !trains_rewards && job.description.task != Task::kCausalLm)
    return Error{"--trainer", name + " trains language models: SFTTrainer's loss is over the next tokens",
                 "pass --trainer hf, or --task causal-lm"};
  if (job.description.task == Task::kFeatureExtraction)
    return Error{"--trainer", name + " fails: \"The model did not return a loss from the inputs\"",
                 "pass --trainer loop, or --task with a loss"};
  if (recipe.seq == 1) return Error{"--seq", "must be at least 2 here: the trainer counts labels", {}};
  return std::nullopt;
}

std::optional<Error> read_trainer(const Options& asked, Request& request) {
  const std::string* name = asked.text("trainer");
  if (name == nullptr) return std::nullopt;
  request.job.recipe.trainer = find_trainer(*name);
  if (!request.job.recipe.trainer->is_transformers_loop) return std::nullopt;
  if (!request.job.description.has_fixed_length())
    request.assumptions.emplace_back("no padding: the trainer's attention mask is all ones");
  return std::nullopt;
}

/// What becomes of a quantized model before it is trained.
std::optional<Error> read_upcast(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  const std::string* upcast = asked.text("upcast");
  if (recipe.quantize == Quantize::kNone)
    return upcast == nullptr ? std::nullopt
                             : std::optional(Error{"--upcast", "is about what is beside quantized weights",
                                                   "add --quantize nf4, or drop it"});
  convert_quantized(recipe);
  if (upcast != nullptr) recipe.upcast = value_in(kUpcasts, *upcast);
  constexpr std::array<std::string_view, 3> kLeft = {"embeddings, norms and heads: fp32", "norms: fp32",
                                                     "embeddings, norms and heads: as they were loaded"};
  request.assumptions.push_back(std::string(kLeft[static_cast<size_t>(recipe.upcast)]) + ", as " +
                                (upcast != nullptr ? "asked" : std::string(recipe.trainer->source) + " leaves them"));
  return std::nullopt;
}

}  // namespace

std::optional<Error> check_stack(const Job& job) {
  if (auto wrong = check_trainer(job)) return wrong;
  return check_transformers(job);
}

Transformers asked_transformers(const Options& asked) {
  if (const std::string* version = asked.text("transformers")) return value_in(kTransformers, *version);
  const std::string* trainer = asked.text("trainer");
  return trainer != nullptr ? find_trainer(*trainer)->transformers : Recipe{}.trainer->transformers;
}

std::optional<Error> read_stack(const Options& asked, Request& request) {
  if (auto wrong = read_trainer(asked, request)) return wrong;
  return read_upcast(asked, request);
}

}  // namespace peakmem
