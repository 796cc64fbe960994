#include "request/preference_options.h"

#include <algorithm>

#include "request/choices.h"
#include "train/preference.h"

namespace peakmem {
namespace {

constexpr bool compares(Objective objective) { return objective == Objective::kDpo || objective == Objective::kKto; }

/// What TRL compares with unless told: the model without its adapters where it has some, else a second one.
Reference usual_reference(const Recipe& recipe) {
  return recipe.lora.rank > 0 ? Reference::kAdapter : Reference::kCopy;
}

std::string_view title_of(Reference reference) {
  switch (reference) {
    case Reference::kCopy:
      return "reference: a second model on the device, not trained (--reference precomputed does without)";
    case Reference::kAdapter:
      return "reference: the model without its adapters, which runs once more without a graph";
    case Reference::kPrecomputed:
      return "reference: log-probabilities that were computed before the training";
    case Reference::kNone:
      break;
  }
  return {};
}

std::optional<Error> check_reference(const Recipe& recipe) {
  if (recipe.reference == Reference::kNone)
    return Error{"--reference", "cannot be none: dpo and kto compare with one", "pass copy, adapter or precomputed"};
  const bool has_adapters = recipe.lora.rank > 0;
  if (recipe.reference == Reference::kAdapter && !has_adapters)
    return Error{"--reference", "adapter switches adapters off, and there are none", "add --lora-rank 16, or drop it"};
  if (recipe.reference == Reference::kCopy && has_adapters)
    return Error{"--reference", "copy is not modelled beside adapters: TRL makes none there", "pass adapter"};
  return std::nullopt;
}

std::optional<Error> check_comparison(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (recipe.kernels.loss != LossKernel::kChunked)
    return Error{"--loss", "cannot be another than chunked: the trainer takes log-probabilities from TRL's fused head",
                 "drop it"};
  if (recipe.objective == Objective::kKto && recipe.batch == 1)
    return Error{"--batch", "must be at least 2: KTOTrainer says \"Actual (not effective) batch size must be > 1\"",
                 "pass --batch 2"};
  return check_reference(recipe);
}

/// Whole logits come from the model's own head, and the trainer's losses know no reference.
std::optional<Error> check_reference_free(const Job& job) {
  const std::string name(name_in(kObjectives, job.recipe.objective));
  if (job.description.task != Task::kCausalLm)
    return Error{"--objective", name + " trains a causal language model, and this is none", "drop it"};
  if (job.recipe.reference != Reference::kNone)
    return Error{"--reference", "is of dpo and kto: " + name + " compares with nothing", "drop it"};
  if (job.recipe.kernels.loss != LossKernel::kPlain)
    return Error{"--loss", "cannot be another than plain: the trainer takes whole logits from the model", "drop it"};
  return std::nullopt;
}

/// Completions follow prompts; the rest of GRPO's trainer is beside what is traced.
std::optional<Error> check_grpo(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (recipe.kernels.loss != LossKernel::kChunked)
    return Error{"--loss", "cannot be another than chunked: the trainer takes log-probabilities from TRL's fused head",
                 "drop it"};
  if (recipe.completion >= recipe.seq)
    return Error{"--completion", "must be less than --seq with --objective grpo: there is a prompt before it",
                 "pass --seq of prompt and completion together"};
  if (recipe.reference == Reference::kPrecomputed)
    return Error{"--reference", "precomputed is of dpo and kto: GRPOTrainer asks its reference in every step",
                 "pass copy or adapter, or drop it"};
  return recipe.reference == Reference::kNone ? std::nullopt : check_reference(recipe);
}

/// A reward is the only output of a sequence's classifier.
std::optional<Error> check_reward(const Job& job) {
  if (job.description.task != Task::kSequenceClassification)
    return Error{"--objective", "reward trains a sequence's classifier of one label, and the task is another",
                 "add --task sequence-classification"};
  if (job.recipe.reference != Reference::kNone)
    return Error{"--reference", "is of dpo and kto: a reward model is compared with nothing", "drop it"};
  return std::nullopt;
}

/// What of the rest of a job was not measured with pairs.
std::optional<Error> check_beside(const Job& job) {
  const Recipe& recipe = job.recipe;
  const std::string name(name_in(kObjectives, recipe.objective));
  const auto not_modelled = [&](const char* option, const std::string& what) {
    return Error{option, what + " is not modelled with --objective " + name, "drop one of them"};
  };
  const Sharding& sharding = recipe.sharding;
  if (is_wrapped(sharding) && !sharding.reshard_after_forward && recipe.reference == Reference::kCopy)
    return not_modelled("--no-reshard-after-forward", "a reference that stays whole");
  if (recipe.eval_batch > 0) return not_modelled("--eval-batch", "an evaluation");
  if (compares(recipe.objective) && !recipe.lora.saved.empty())
    return not_modelled("--lora-modules-to-save", "a trained copy of a module");
  if (job.description.experts > 0)
    return Error{
        "--objective",
        name +
            " is not modelled for a mixture of experts, of which TRL trains the router's load with an auxiliary "
            "loss",
        "drop it"};
  if (job.description.family == "falcon" && job.description.inner_dropout > 0)
    return Error{"--objective",
                 name + " is not modelled for falcon with attention_dropout, half of which TRL turns off",
                 "set attention_dropout to 0"};
  return std::nullopt;
}

}  // namespace

namespace {

/// GRPOConfig's own length of completions.
constexpr int64_t kCompletion = 512;

std::optional<Error> read_grpo(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  if (const std::string* reference = asked.text("reference")) recipe.reference = value_in(kReferences, *reference);
  if (const std::string* sampler = asked.text("sampler")) recipe.corrects_sampling = value_in(kSamplers, *sampler);
  if (recipe.completion == 0) {
    recipe.completion = std::min(kCompletion, std::max<int64_t>(recipe.seq / 2, 1));
    request.assumptions.push_back("completion: " + std::to_string(recipe.completion) +
                                  " of the tokens, behind a prompt");
  }
  request.assumptions.emplace_back(
      recipe.corrects_sampling
          ? "grpo: the pass over completions that vLLM made; its share of the card is beside (--headroom keeps it)"
          : "grpo: the pass over completions that are there; the model's own generate, with its cache, comes before "
            "it");
  if (recipe.reference == Reference::kNone)
    request.assumptions.emplace_back("reference: none, as a beta of 0 has it (--reference copy or adapter)");
  return std::nullopt;
}

}  // namespace

std::optional<Error> read_preference(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  const std::string* objective = asked.text("objective");
  const std::string* reference = asked.text("reference");
  if (objective != nullptr) recipe.objective = value_in(kObjectives, *objective);
  if (recipe.objective != Objective::kGrpo && asked.has("sampler"))
    return Error{"--sampler", "is what makes the completions of grpo", "add --objective grpo, or drop it"};
  if (recipe.objective == Objective::kTask)
    return reference == nullptr ? std::nullopt
                                : std::optional(Error{"--reference", "is what a preference is compared with",
                                                      "add --objective dpo or kto, or drop it"});
  if (recipe.objective == Objective::kGrpo) return read_grpo(asked, request);
  if (reference != nullptr)
    recipe.reference = value_in(kReferences, *reference);
  else if (compares(recipe.objective))
    recipe.reference = usual_reference(recipe);
  settle_preference(request.job);
  if (reference == nullptr && recipe.reference != Reference::kNone)
    request.assumptions.emplace_back(title_of(recipe.reference));
  request.assumptions.emplace_back(
      recipe.objective == Objective::kKto
          ? "kto: a batch has as many sequences besides, whose completions are others', to estimate the KL term"
          : "pairs: a batch counts them, and has a chosen and a rejected sequence of each");
  return std::nullopt;
}

std::optional<Error> check_preference(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (recipe.objective == Objective::kTask) return std::nullopt;
  if (recipe.trainer->name != "trl")
    return Error{"--objective", std::string(name_in(kObjectives, recipe.objective)) + " is that of a trainer of TRL",
                 "add --trainer trl, or drop it"};
  if (auto wrong = compares(recipe.objective)             ? check_comparison(job)
                   : recipe.objective == Objective::kGrpo ? check_grpo(job)
                   : takes_logits(recipe.objective)       ? check_reference_free(job)
                                                          : check_reward(job))
    return wrong;
  return check_beside(job);
}

}  // namespace peakmem
