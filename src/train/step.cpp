#include "train/step.h"

#include <algorithm>
#include <optional>

#include "trace/engine.h"
#include "train/batches.h"
#include "train/data_parallel.h"
#include "train/evaluation.h"
#include "train/fully_shard.h"
#include "train/loading.h"
#include "train/optimizer_step.h"

namespace peakmem {
namespace {

/// model(**batch). As accelerate wraps it for transformers.Trainer autocast ends with it, and in mixed precision what
/// it returns is made fp32.
ModelOutput whole_model(Tape& tape, Model& model, const Batch& batch, const Recipe& recipe) {
  tape.autocast.enabled = is_mixed(recipe.precision);
  tape.autocast.dtype = recipe.precision == Precision::kFp16Mixed ? DType::kFloat16 : DType::kBFloat16;
  const auto run = [&] {
    const Unit unit(tape, 0);
    return model.forward(batch);
  };
  ModelOutput output = run();
  tape.autocast.enabled = false;
  if (!recipe.trainer->is_transformers_loop) return output;
  tape.autocast.cache.clear();
  if (output.logits && is_mixed(recipe.precision)) output.logits = to(output.logits, DType::kFloat32);
  return output;
}

/// loss = model(**batch).loss, nothing else of the output being held; divided where gradients accumulate, or times the
/// number of ranks in transformers.Trainer.
Tensor forward(Tape& tape, Model& model, const Batch& batch, const Recipe& recipe, const DataParallel* parallel) {
  ModelOutput output = whole_model(tape, model, batch, recipe);
  if (parallel != nullptr) output = parallel->passed(std::move(output));
  const bool averages = recipe.transformers == Transformers::kV523;  // average_tokens_across_devices is on
  if (recipe.trainer->is_transformers_loop) return averages ? mul_scalar_in_place(output.loss) : output.loss;
  Tensor loss = std::exchange(output, {}).loss;
  if (recipe.accumulate > 1) loss = div_scalar(loss);
  tape.autocast.cache.clear();
  return loss;
}

/// One micro-batch of step 1; the loop's names end with it.
void trace_micro_batch(Tape& tape, Batches& batches, Model& model, const Recipe& recipe, int32_t micro,
                       DataParallel* parallel) {
  tape.begin_phase(1, micro, "input");
  tape.category = Category::kInputs;
  const Batch batch = batches.take(micro);
  tape.begin_phase(1, micro, "forward");
  if (parallel != nullptr) parallel->rebuild_buckets();
  tape.category = Category::kActivations;
  const Tensor loss = forward(tape, model, batch, recipe, parallel);
  tape.begin_phase(1, micro, "backward");
  run_backward(tape, loss);
}

void trace_update(Tape& tape, std::vector<OptimizerRun>& optimizers, const Recipe& recipe, int32_t step) {
  if (recipe.clip) {
    tape.begin_phase(step, -1, "clip");
    clip_grad_norm(tape, recipe.sharding.shards > 1);
  }
  tape.begin_phase(step, -1, "optimizer");
  for (OptimizerRun& optimizer : optimizers) optimizer.step();
}

/// The phases of the update of step 2, which are not in the program yet: those of step 1 (from `first` on) without its
/// state, or others.
std::vector<Phase> later_update(Tape& tape, std::vector<OptimizerRun>& optimizers, const Recipe& recipe, size_t first) {
  std::vector<Phase>& phases = tape.program.phases;
  const size_t end = phases.size();
  const bool alike = optimizers.size() == 1 && optimizers[0].steady_segment() >= 0;
  if (!alike) trace_update(tape, optimizers, recipe, 2);
  std::vector<Phase> later(phases.begin() + static_cast<ptrdiff_t>(alike ? first : end), phases.end());
  phases.resize(end);
  for (Phase& phase : later) phase.step = 2;
  if (alike) later.back().first_segment = optimizers[0].steady_segment();
  return later;
}

/// The micro-batches that are traced. From the second one on gradients are there and every one is the same, but for the
/// last where only that reduces.
std::vector<int64_t> traced_micro_batches(const Recipe& recipe, bool unrolled) {
  std::vector<int64_t> micros;
  for (int64_t micro = 0; micro < recipe.accumulate && (unrolled || micro < 2); ++micro) micros.push_back(micro);
  if (recipe.ddp.no_sync && micros.back() + 1 < recipe.accumulate) micros.push_back(recipe.accumulate - 1);
  return micros;
}

void zero_grad(Tape& tape) {
  for (const Parameter& parameter : tape.parameters) gradient_of(parameter).reset();
}

/// An evaluation's batch: a plain loop names what the model returns, Trainer.prediction_step (5.23) without
/// compute_metrics looks at the loss alone.
void trace_evaluation(Tape& tape, Batches& batches, Model& model, const Recipe& recipe) {
  tape.begin_phase(2, -1, "evaluate");
  tape.category = Category::kInputs;
  const Batch batch = batches.evaluated();
  tape.category = Category::kActivations;
  const EvalMode mode(tape);
  const ModelOutput outputs = whole_model(tape, model, batch, recipe);
  tape.autocast.cache.clear();
}

/// The storages of the parameters that are not trained, in order: beside quantized weights those of the checkpoint.
std::vector<int32_t> frozen_storages(const Tape& tape) {
  std::vector<int32_t> storages;
  for (const Parameter& parameter : tape.frozen) storages.push_back(parameter.value->storage);
  std::sort(storages.begin(), storages.end());
  return storages;
}

/// Step 2 does again what step 1 did up to its update: nothing before it depends on the optimizer's state. What a phase
/// does before the segment `once` it does once; `renewed` is the first input phase where that is another.
void repeat_micro_batches(Program& program, int32_t once, const std::optional<Phase>& renewed) {
  const std::vector<Phase> done = program.phases;
  for (Phase phase : done) {
    if (phase.step != 1 || phase.micro < 0) continue;
    const bool loads = renewed && phase.micro == 0 && phase.name == std::string_view("input");
    if (loads) phase = *renewed;
    phase.step = 2;
    if (phase.first_segment < once && once <= phase.last_segment) phase.first_segment = once;
    program.phases.push_back(phase);
  }
}

/// The input phase of step 2 where the loop still holds the batches of step 1.
std::optional<Phase> renew(Tape& tape, Batches& batches) {
  if (!batches.are_held()) return std::nullopt;
  tape.begin_phase(2, 0, "input");
  batches.renew();
  const Phase renewed = tape.program.phases.back();
  tape.program.phases.pop_back();
  return renewed;
}

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

/// One optimizer, or two of which the second trains what the first does not.
std::vector<OptimizerRun> optimizers_of(Tape& tape, const Job& job, const Structure& structure) {
  const Recipe& recipe = job.recipe;
  std::vector<OptimizerRun> runs;
  runs.emplace_back(tape, *recipe.optimizer, recipe.impl, kept_states(job, structure, *recipe.optimizer));
  if (recipe.rest != nullptr)
    runs.emplace_back(tape, *recipe.rest, recipe.rest_impl, kept_states(job, structure, *recipe.rest));
  return runs;
}

}  // namespace

Division division(const Job& job) {
  Division counts;
  for_each_parameter(job, structure_of(job), [&](const Parameter& parameter, int64_t count) {
    (takes(job.recipe, parameter) ? counts.taken : counts.left) += count;
  });
  return counts;
}

Program trace_step(const Job& job, const Dims& dims, bool unrolled) {
  const Recipe& recipe = job.recipe;
  Structure structure = structure_of(job, unrolled);
  Dims sizes = dims;
  Tape tape;
  const Builder builder = {tape, job.description, sizes, structure};
  tape.begin_phase(0, -1, "model");
  tape.meta_parameters = is_wrapped(recipe.sharding);
  const std::unique_ptr<Model> model = find_family(job.description.family)->build(builder);
  const Tensor codes = shared_codes(builder);
  std::optional<FullyShard> sharded;
  if (is_wrapped(recipe.sharding)) sharded.emplace(tape, recipe);
  std::optional<DataParallel> parallel;
  if (recipe.ddp.ranks > 1) parallel.emplace(tape, recipe.ddp);
  std::vector<OptimizerRun> optimizers = optimizers_of(tape, job, structure);
  Batches batches(builder, recipe);
  if (takes_more_to_load(recipe)) trace_loading(tape.program, frozen_storages(tape), recipe);
  for (const int64_t micro : traced_micro_batches(recipe, unrolled)) {
    if (parallel) parallel->synchronize(!recipe.ddp.no_sync || micro + 1 == recipe.accumulate);
    trace_micro_batch(tape, batches, *model, recipe, static_cast<int32_t>(micro), parallel ? &*parallel : nullptr);
    tape.drop_leaves();
  }
  // Both updates happen while the gradients are there: the first makes the state, the second is the steady one.
  const size_t before = tape.program.phases.size();
  trace_update(tape, optimizers, recipe, 1);
  const std::vector<Phase> steady = later_update(tape, optimizers, recipe, before);
  tape.begin_phase(1, -1, "zero_grad");
  zero_grad(tape);
  Phase cleared = tape.program.phases.back();
  cleared.step = 2;
  if (parallel) parallel->rebuild_buckets();  // in step 2's first forward pass, where no gradients are yet either
  const std::optional<Phase> renewed = renew(tape, batches);
  repeat_micro_batches(tape.program, parallel ? parallel->once() : -1, renewed);
  tape.program.phases.insert(tape.program.phases.end(), steady.begin(), steady.end());
  tape.program.phases.push_back(cleared);
  if (recipe.eval_batch > 0) {
    structure = structure_of(evaluation_of(job), unrolled);
    sizes = evaluation_dims(job, dims);
    trace_evaluation(tape, batches, *model, recipe);
  }
  return tape.finish();
}

}  // namespace peakmem
