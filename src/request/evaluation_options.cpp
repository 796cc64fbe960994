#include "request/evaluation_options.h"

namespace peakmem {
namespace {

constexpr int64_t kMostBatches = 1 << 20;

}  // namespace

std::optional<Error> read_evaluation(const Options& asked, Recipe& recipe) {
  recipe.eval_batch = asked.size("eval-batch").value_or(0);
  recipe.eval_batches = asked.size("eval-batches").value_or(2);
  recipe.eval_logits = asked.flag("eval-logits");
  for (const std::string_view option : {"eval-batches", "eval-logits"})
    if (recipe.eval_batch == 0 && asked.has(option))
      return Error{"--" + std::string(option), "is about an evaluation", "add --eval-batch 8, or drop it"};
  if (recipe.eval_batches > kMostBatches)
    return Error{"--eval-batches", "is more than " + std::to_string(kMostBatches), {}};
  if (recipe.eval_logits && !asked.has("eval-batches"))
    return Error{"--eval-logits", "needs to know of how many batches", "add --eval-batches 10"};
  return std::nullopt;
}

std::string evaluation_assumption(const Recipe& recipe) {
  if (recipe.eval_batch == 0) return {};
  const std::string_view kept =
      !recipe.trainer->is_transformers_loop ? "by with torch.no_grad(): outputs = model(**batch)"
      : recipe.eval_logits                  ? "all logits being kept, as Trainer with compute_metrics"
                           : "the loss alone being kept, as Trainer without compute_metrics (--eval-logits)";
  return "evaluation: after a step, " +
         (recipe.eval_batches == 1 ? "one batch" : std::to_string(recipe.eval_batches) + " batches") +
         " of as many tokens a sequence, " + std::string(kept);
}

std::optional<Error> check_evaluation(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (!recipe.eval_logits) return std::nullopt;
  if (!recipe.trainer->is_transformers_loop)
    return Error{"--eval-logits", "is Trainer's: a plain loop holds what it names, the last batch's outputs",
                 "add --trainer hf, or drop it"};
  if (recipe.trainer->runs_no_other)
    return Error{"--eval-logits",
                 "is not modelled with --trainer " + std::string(recipe.trainer->name) +
                     ": TRL makes the logits in another forward pass",
                 "pass --trainer hf, or drop it"};
  if (recipe.ddp.ranks > 1)
    return Error{"--eval-logits", "is not modelled with --ddp, where each rank gathers the logits of all",
                 "drop one of them"};
  return std::nullopt;
}

}  // namespace peakmem
