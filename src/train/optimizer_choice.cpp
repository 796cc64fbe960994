#include "train/optimizer_choice.h"

#include <memory>

#include "train/step.h"

namespace peakmem {
namespace {

/// Whether the first optimizer of a recipe trains a parameter: all of them, or matrices, those outside of layers only
/// where asked.
bool takes(const Recipe& recipe, const Parameter& parameter) {
  return recipe.optimizer->takes_others ||
         (parameter.value.shape().rank == 2 && (recipe.all_matrices || parameter.unit != 0));
}

/// Calls `each` with every trained parameter, of a model built as the trace builds it but on numbers, and how many
/// parameters it stands for.
template <class Each>
void for_each_parameter(const Job& job, const Structure& structure, const Each& each) {
  const Dims dims = number_dims(job);
  Tape tape;
  tape.begin_phase(0, -1, "model");
  tape.meta_parameters = is_wrapped(job.recipe.sharding);
  const auto model = find_family(job.description.family)->build({tape, job.description, dims, structure});
  for (const Parameter& parameter : tape.parameters)
    each(parameter, tape.program.turns[static_cast<size_t>(parameter.turn)].count.number());
}

/// What an optimizer of the recipe does, parameter by parameter. transformers.Trainer keeps the states of embeddings in
/// 32 bits (5.23, trainer.py, create_optimizer).
std::vector<Kept> kept_states(const Job& job, const Structure& structure, const Optimizer& optimizer) {
  const Recipe& recipe = job.recipe;
  if (!optimizer.in_8_bits && !optimizer.pages && recipe.optimizer->takes_others) return {};
  std::vector<Kept> states;
  for_each_parameter(job, structure, [&](const Parameter& parameter, int64_t) {
    const bool full = parameter.of_embedding && recipe.trainer->is_transformers_loop;
    states.push_back(kept(optimizer, parameter.value.shape().elements().number(), full));
    states.back().taken = takes(recipe, parameter) == (&optimizer == recipe.optimizer);
  });
  return states;
}

}  // namespace

std::vector<OptimizerRun> optimizers_of(Tape& tape, const Job& job, const Structure& structure) {
  const Recipe& recipe = job.recipe;
  std::vector<OptimizerRun> runs;
  runs.emplace_back(tape, *recipe.optimizer, recipe.impl, kept_states(job, structure, *recipe.optimizer));
  if (recipe.rest != nullptr)
    runs.emplace_back(tape, *recipe.rest, recipe.rest_impl, kept_states(job, structure, *recipe.rest));
  return runs;
}

Division division(const Job& job) {
  Division counts;
  for_each_parameter(job, structure_of(job), [&](const Parameter& parameter, int64_t count) {
    (takes(job.recipe, parameter) ? counts.taken : counts.left) += count;
  });
  return counts;
}

}  // namespace peakmem
