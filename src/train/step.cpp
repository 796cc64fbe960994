#include "train/step.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include "layout/data_parallel.h"
#include "layout/flat_shard.h"
#include "layout/fully_shard.h"
#include "layout/zero_optimizer.h"
#include "trace/engine.h"
#include "trace/leaves.h"
#include "train/batches.h"
#include "train/evaluation.h"
#include "train/grpo.h"
#include "train/loading.h"
#include "train/model_call.h"
#include "train/optimizer_choice.h"
#include "train/preference.h"

namespace peakmem {
namespace {

/// What the loop names, and the leaves that the graph behind it ends in.
struct Names {
  Tensor loss;
  Batch batch;
  ModelOutput outputs;
  Leaves leaves;
  Tensor items;        // as the model was given it, which every checkpoint holds
  int32_t bound = -1;  // the segment in which outputs has been bound for the first time
};

/// What transformers.Trainer names until the next step has another (5.23, _run_epoch): the loss of a micro-batch,
/// detached, and the norm of the gradients.
struct Reported {
  Tensor loss;
  Tensor norm;

  void take(const Recipe& recipe, const Tensor& trained) {
    if (recipe.trainer->is_transformers_loop) loss = detach(trained);
  }
};

void mark_outputs(Tape& tape, const ModelOutput& outputs) {
  const auto mark = [&tape](const Tensor& tensor) {
    if (tensor) tape.program.storages[static_cast<size_t>(tensor->storage)].is_output = true;
  };
  for (const Tensor* tensor : {&outputs.loss, &outputs.logits, &outputs.encoder_hidden_states, &outputs.more_logits})
    mark(*tensor);
  for (const Tensor& tensor : outputs.others) mark(tensor);
}

/// Trainer.compute_loss and training_step of 5.23: times the number of ranks where labels were counted over all of them
/// (average_tokens_across_devices), else divided by the number of micro-batches, be it one, unless the loss has been.
Tensor scaled_by_trainer(Tensor loss, const Batch& batch, const Recipe& recipe) {
  if (recipe.transformers != Transformers::kV523 || recipe.objective == Objective::kGrpo) return loss;
  return batch.is_counted ? mul_scalar_in_place(std::move(loss)) : div_scalar(std::move(loss));
}

/// A trainer's compute_loss on pairs, whose names are gone when it returns.
void forward_pairs(Tape& tape, Model& model, Names& names, const Recipe& recipe, ReferenceModel& reference,
                   const DataParallel* parallel) {
  Tensor loss = preference_loss(tape, model, reference, names.batch, recipe, parallel);
  names.loss = scaled_by_trainer(std::move(loss), names.batch, recipe);
  names.leaves = Leaves(tape.take_leaves());
  tape.autocast.cache.clear();
}

/// outputs = model(**batch); loss = outputs.loss, divided where gradients accumulate, or scaled by
/// transformers.Trainer. What the names held goes when they are bound; a loop
/// that keeps no outputs names nothing but the loss.
void forward(Tape& tape, Model& model, Names& names, const Recipe& recipe, const DataParallel* parallel) {
  const Batch given = given_to_model(names.batch, recipe);
  if (recipe.checkpointing != Checkpointing::kNone) names.items = given.items;
  names.outputs = whole_model(tape, model, given, recipe);
  if (parallel != nullptr) names.outputs = parallel->passed(std::move(names.outputs));
  if (recipe.names != LoopNames::kNothing && names.bound < 0) names.bound = tape.begin_segment();
  if (recipe.kernels.loss == LossKernel::kPlain) names.outputs.others.clear();  // model(input_ids).logits
  Tensor loss = loss_of(tape, names.outputs, names.batch, recipe);
  if (recipe.names == LoopNames::kOutputs)
    mark_outputs(tape, names.outputs);
  else
    names.outputs = {};
  if (recipe.trainer->is_transformers_loop)
    loss = scaled_by_trainer(std::move(loss), names.batch, recipe);
  else if (recipe.accumulate > 1)
    loss = div_scalar(std::move(loss));
  names.loss = std::move(loss);
  names.leaves = Leaves(tape.take_leaves());
  tape.autocast.cache.clear();
}

/// A micro-batch of a step.
struct Moment {
  int32_t step;
  int32_t micro;
};

/// What a step runs, and what it names meanwhile; null where a job has none of it.
struct Loop {
  Tape& tape;
  const Recipe& recipe;
  Batches& batches;
  Model& model;
  FullyShard* sharded;
  FlatShard* flat_shard;
  DataParallel* parallel;
  ZeroOptimizer* zero;
  ReferenceModel* reference;
  Names names = {};
  Reported reported = {};

  FlatShard* flat() const { return kHasFlatSharding ? flat_shard : nullptr; }
};

/// One micro-batch. accelerate divides the loss once more before autograd has it (1.15, Accelerator.backward), unless
/// DeepSpeed does.
void trace_micro_batch(Loop& loop, Moment at) {
  Tape& tape = loop.tape;
  const Recipe& recipe = loop.recipe;
  Names& names = loop.names;
  tape.begin_phase(at.step, at.micro, "input");
  tape.category = Category::kInputs;
  names.batch = loop.batches.take(at.micro);
  tape.begin_phase(at.step, at.micro, "forward");
  if (loop.parallel != nullptr) loop.parallel->rebuild_buckets();
  tape.category = Category::kActivations;
  if (loop.reference != nullptr)
    forward_pairs(tape, loop.model, names, recipe, *loop.reference, loop.parallel);
  else
    forward(tape, loop.model, names, recipe, loop.parallel);
  tape.begin_phase(at.step, at.micro, "backward");
  ZeroOptimizer* const zero = loop.zero;
  const bool scales = zero != nullptr && zero->scales_loss();
  const Tensor scaled = scales ? tape.make(Shape{}, DType::kFloat32, "mul") : Tensor();
  run_backward(tape, recipe.trainer->is_transformers_loop && zero == nullptr ? div_scalar(names.loss) : names.loss);
  if (zero != nullptr) zero->finish_backward();
  if (zero != nullptr && zero->steps()) return;
  loop.reported.take(recipe, names.loss);
  if (recipe.names == LoopNames::kNothing) names = {};
}

void run_optimizers(Tape& tape, std::vector<OptimizerRun>& optimizers, int32_t step) {
  tape.begin_phase(step, -1, "optimizer");
  for (OptimizerRun& optimizer : optimizers) optimizer.step();
}

/// The update of step 1.
void trace_update(Loop& loop, std::vector<OptimizerRun>& optimizers) {
  const Recipe& recipe = loop.recipe;
  if (takes_norm(recipe)) {
    loop.tape.begin_phase(1, -1, "clip");
    Tensor norm =
        loop.flat() != nullptr ? loop.flat()->clip_gradients() : clip_grad_norm(loop.tape, recipe.sharding.shards > 1);
    if (recipe.trainer->is_transformers_loop) loop.reported.norm = std::move(norm);
  }
  run_optimizers(loop.tape, optimizers, 1);
}

/// The phases from `first` on, which the program has no longer.
std::vector<Phase> taken_from(std::vector<Phase>& phases, size_t first) {
  std::vector<Phase> taken(phases.begin() + static_cast<ptrdiff_t>(first), phases.end());
  phases.resize(first);
  return taken;
}

/// The phases of the update of step 2, which are not in the program yet: those of step 1 (from `first` on) without its
/// state, or others.
std::vector<Phase> later_update(Tape& tape, std::vector<OptimizerRun>& optimizers, const Recipe& recipe, size_t first,
                                Reported& reported) {
  std::vector<Phase>& phases = tape.program.phases;
  const size_t end = phases.size();
  const bool alike = optimizers.size() == 1 && optimizers[0].steady_segment() >= 0;
  if (takes_norm(recipe)) {
    const Phase clip = phases[first];
    tape.begin_phase(2, -1, "clip");
    if (recipe.transformers == Transformers::kV523) reported.norm = {};
    tape.repeat(clip.first_segment, clip.last_segment);
    reported.norm = {};  // older ones let the last norm go when the next is there
  }
  if (alike) {
    Phase steady = phases[end - 1];
    steady.step = 2;
    steady.first_segment = optimizers[0].steady_segment();
    phases.push_back(steady);
  } else {
    run_optimizers(tape, optimizers, 2);
  }
  return taken_from(phases, end);
}

/// The update under ZeRO 1 and 2: that of step 2 is the same but for the state, see leave_out_once.
std::vector<Phase> trace_zero_update(Tape& tape, ZeroOptimizer& zero, const Recipe& recipe, Names& names,
                                     Reported& reported) {
  std::vector<Phase>& phases = tape.program.phases;
  tape.begin_phase(1, -1, "optimizer");
  zero.step();
  reported.take(recipe, names.loss);
  names = {};
  const Phase first = phases.back();
  const size_t end = phases.size();
  tape.begin_phase(2, -1, "optimizer");
  tape.repeat(first.first_segment, first.last_segment);
  if (recipe.accumulate == 1) reported.loss = {};  // else the first micro-batch's backward pass has let it go
  return taken_from(phases, end);
}

/// The micro-batches that are traced. From the second one on gradients are there and every one is the same, but for the
/// last where only that reduces.
std::vector<int64_t> traced_micro_batches(const Recipe& recipe, bool unrolled) {
  std::vector<int64_t> micros;
  for (int64_t micro = 0; micro < recipe.accumulate && (unrolled || micro < 2); ++micro) micros.push_back(micro);
  if ((reduces_last_only(recipe) || runs(recipe.zero)) && micros.back() + 1 < recipe.accumulate)
    micros.push_back(recipe.accumulate - 1);
  return micros;
}

void zero_grad(Tape& tape) {
  for (const Parameter& parameter : tape.parameters) gradient_of(parameter).reset();
}

/// The storages of the parameters that are not trained, in order: beside quantized weights those of the checkpoint.
std::vector<int32_t> frozen_storages(const Tape& tape) {
  std::vector<int32_t> storages;
  for (const Parameter& parameter : tape.frozen) storages.push_back(parameter.value->storage);
  std::sort(storages.begin(), storages.end());
  return storages;
}

/// Of a program's phases the one of the first micro-batch of that name.
Phase* first_of(std::vector<Phase>& phases, std::string_view name) {
  const auto found = std::find_if(phases.begin(), phases.end(),
                                  [&](const Phase& phase) { return phase.micro == 0 && phase.name == name; });
  return found == phases.end() ? nullptr : &*found;
}

/// Step 2 does again what step 1 did up to its update: nothing before it depends on the optimizer's state. What a phase
/// does before the segment `once` it does once; `renewed` are those of the first micro-batch that do something else.
void repeat_micro_batches(Program& program, int32_t once, std::vector<Phase> renewed) {
  const std::vector<Phase> done = program.phases;
  for (Phase phase : done) {
    if (phase.step != 1 || phase.micro < 0) continue;
    const Phase* other = phase.micro == 0 ? first_of(renewed, phase.name) : nullptr;
    if (other != nullptr) phase = *other;
    phase.step = 2;
    if (phase.first_segment < once && once <= phase.last_segment) phase.first_segment = once;
    program.phases.push_back(phase);
  }
}

/// The second micro-batch stands for all that follow it. Where it makes DDP's buckets anew, which happens before the
/// segment `once`, they are as it is from there on: a third one is that.
void repeat_after_rebuild(std::vector<Phase>& phases, int32_t once) {
  std::vector<Phase> later;
  bool rebuilds = false;
  for (Phase phase : phases) {
    if (phase.step != 1 || phase.micro != 1) continue;
    const bool is_cut = phase.first_segment < once && once <= phase.last_segment;
    if (is_cut) phase.first_segment = once;
    rebuilds = rebuilds || is_cut;
    phase.micro = 2;
    later.push_back(phase);
  }
  const auto last = std::find_if(phases.rbegin(), phases.rend(),
                                 [](const Phase& phase) { return phase.step == 1 && phase.micro >= 0; });
  if (rebuilds) phases.insert(last.base(), later.begin(), later.end());
}

/// A segment without what is done once: itself, or one of events of its own.
Segment without_once(Program& program, Segment segment) {
  const std::vector<Event> done(program.events.begin() + segment.first, program.events.begin() + segment.last);
  const auto is_once = [](const Event& event) { return event.once; };
  if (std::none_of(done.begin(), done.end(), is_once)) return segment;
  segment.first = static_cast<int32_t>(program.events.size());
  std::remove_copy_if(done.begin(), done.end(), std::back_inserter(program.events), is_once);
  segment.last = static_cast<int32_t>(program.events.size());
  return segment;
}

/// What a step did once no later one does: phases of step 2 get segments without it.
void leave_out_once(Program& program) {
  if (std::none_of(program.events.begin(), program.events.end(), [](const Event& event) { return event.once; })) return;
  for (Phase& phase : program.phases) {
    if (phase.step < 2) continue;
    const auto first = static_cast<int32_t>(program.segments.size());
    for (int32_t i = phase.first_segment; i < phase.last_segment; ++i)
      program.segments.push_back(without_once(program, program.segments[static_cast<size_t>(i)]));
    phase.first_segment = first;
    phase.last_segment = static_cast<int32_t>(program.segments.size());
  }
}

/// The first micro-batch's forward pass of step 2, in which goes what a wrapper kept of the last step's gradients, and
/// what a plain loop's name is bound to again.
void renew_forward(Loop& loop) {
  Tape& tape = loop.tape;
  const Phase forward = *first_of(tape.program.phases, "forward");
  tape.begin_phase(2, 0, "forward");
  if (loop.flat() != nullptr) loop.flat()->drop_gradients();
  const bool binds = !loop.batches.are_held() && loop.recipe.names != LoopNames::kNothing;
  const int32_t bound = binds ? loop.names.bound : forward.last_segment;
  tape.repeat(forward.first_segment, bound);
  loop.names.outputs = {};
  tape.repeat(bound, forward.last_segment);
}

/// The phases of step 2 in which goes what the loop still holds of step 1: the trainer's batches, or a plain loop's
/// names, which are bound again when the next batch is there and when the next forward pass has returned; a trainer's
/// loss, when the next backward pass has.
std::vector<Phase> renew(Loop& loop) {
  Tape& tape = loop.tape;
  std::vector<Phase>& phases = tape.program.phases;
  const size_t end = phases.size();
  const bool binds = !loop.batches.are_held() && loop.recipe.names != LoopNames::kNothing;
  if (loop.batches.are_completions()) {
    const Phase input = *first_of(phases, "input");
    tape.begin_phase(2, 0, "input");
    tape.repeat(input.first_segment, input.last_segment);
    loop.batches.let_go();
  } else if (loop.batches.are_held()) {
    tape.begin_phase(2, 0, "input");
    loop.batches.renew();
  } else if (binds) {
    const Phase input = *first_of(phases, "input");
    tape.begin_phase(2, 0, "input");
    tape.repeat(input.first_segment, input.last_segment);
    loop.names.batch = {};
  }
  if (binds || (loop.flat() != nullptr && loop.flat()->keeps_gradients())) renew_forward(loop);
  if (binds) loop.names = {};
  if (loop.reported.loss) {
    const Phase backward = *first_of(phases, "backward");
    tape.begin_phase(2, 0, "backward");
    tape.repeat(backward.first_segment, backward.last_segment);
    loop.reported.loss = {};
  }
  return taken_from(phases, end);
}

void trace_micro_batches(Loop& loop, int32_t step, bool unrolled) {
  const int64_t count = loop.recipe.accumulate;
  for (const int64_t micro : traced_micro_batches(loop.recipe, unrolled)) {
    const bool reduces = !reduces_last_only(loop.recipe) || micro + 1 == count;
    if (loop.parallel != nullptr) loop.parallel->synchronize(reduces);
    if (loop.sharded != nullptr) loop.sharded->synchronize(reduces);
    if (loop.flat() != nullptr) loop.flat()->synchronize(reduces);
    if (loop.zero != nullptr) loop.zero->synchronize(micro + 1 == count);
    trace_micro_batch(loop, {step, static_cast<int32_t>(micro)});
  }
}

/// ZeRO 3, whose second step gathers otherwise; what the trainer reports is the wrapper's.
void trace_both_steps(Loop& loop, bool unrolled) {
  for (const int32_t step : {1, 2}) {
    trace_micro_batches(loop, step, unrolled);
    loop.tape.begin_phase(step, -1, "optimizer");
    loop.zero->step();
    loop.names = {};
    loop.reported = {};
    loop.tape.begin_phase(step, -1, "zero_grad");
  }
}

/// Step 1, and step 2 of the same segments but for what it does otherwise.
void trace_first_step(Loop& loop, std::vector<OptimizerRun>& optimizers, bool unrolled) {
  Tape& tape = loop.tape;
  std::vector<Phase>& phases = tape.program.phases;
  trace_micro_batches(loop, 1, unrolled);
  // Both updates happen while the gradients are there: the first makes the state, the second is the steady one.
  const size_t before = phases.size();
  if (loop.zero == nullptr) trace_update(loop, optimizers);
  const std::vector<Phase> steady = loop.zero != nullptr
                                        ? trace_zero_update(tape, *loop.zero, loop.recipe, loop.names, loop.reported)
                                        : later_update(tape, optimizers, loop.recipe, before, loop.reported);
  tape.begin_phase(1, -1, "zero_grad");
  zero_grad(tape);
  Phase cleared = phases.back();
  cleared.step = 2;
  DataParallel* const parallel = loop.parallel;
  if (parallel != nullptr)
    parallel->rebuild_buckets();  // in step 2's first forward pass, where no gradients are yet either
  const std::vector<Phase> renewed = renew(loop);
  const int32_t once = parallel != nullptr ? parallel->once() : -1;
  repeat_micro_batches(tape.program, once, renewed);
  if (once >= 0 && !unrolled && loop.recipe.accumulate > 2) repeat_after_rebuild(phases, once);
  phases.insert(phases.end(), steady.begin(), steady.end());
  phases.push_back(cleared);
  leave_out_once(tape.program);
}

}  // namespace

Program trace_step(const Job& job, const Dims& dims, bool unrolled) {
  if (job.recording) return program_of(*job.recording, dims.letters, unrolled);
  const Recipe& recipe = job.recipe;
  Structure structure = structure_of(job, unrolled);
  Dims sizes = dims;
  Tape tape;
  tape.processor = recipe.processor;
  tape.symbol_values = dims.symbol_values;
  std::vector<Tensor> cache;
  Untied untied = {{}, recipe.weights};
  std::vector<Tensor>* const kept = recipe.use_cache ? &cache : nullptr;
  Untied* const on_device = builds_on_device(recipe) ? &untied : nullptr;
  const Builder builder = {tape, job.description, sizes, structure, kept, on_device};
  tape.begin_phase(0, -1, "model");
  tape.meta_parameters = recipe.zero.stage == 3;
  std::optional<FullyShard> sharded;
  std::unique_ptr<FlatShard> flat;
  if (kHasFlatSharding && recipe.sharding.flat.runs)
    flat = std::make_unique<FlatShard>(tape, recipe);
  else if (is_wrapped(recipe.sharding))
    sharded.emplace(tape, recipe);
  const std::unique_ptr<Model> model = find_family(job.description.family)->build(builder);
  untied.tensors.clear();
  const Tensor codes = shared_codes(builder);
  std::optional<ReferenceModel> reference;
  const bool compares = recipe.objective != Objective::kTask;
  if (compares && recipe.ddp.ranks <= 1) reference.emplace(builder, structure, job);
  if (takes_more_to_load(job)) trace_loading(tape, frozen_storages(tape), recipe);
  if (sharded) sharded->shard();
  if (kHasFlatSharding && flat) flat->shard();
  std::optional<DataParallel> parallel;
  if (recipe.ddp.ranks > 1) parallel.emplace(tape, recipe.ddp, unrolled);
  const std::unique_ptr<ZeroOptimizer> zero = runs(recipe.zero) ? zero_optimizer(tape, recipe) : nullptr;
  std::vector<OptimizerRun> optimizers;
  if (!zero) optimizers = optimizers_of(tape, job, structure);
  if (compares && !reference) reference.emplace(builder, structure, job);  // behind DDP's buckets, as on record
  Batches batches(builder, recipe);
  std::optional<Completions> completions;
  if (recipe.objective == Objective::kGrpo) completions.emplace(builder, recipe, *model, *reference);
  if (completions) batches.come_from(&*completions);
  Loop loop = {tape,
               recipe,
               batches,
               *model,
               sharded ? &*sharded : nullptr,
               flat.get(),
               parallel ? &*parallel : nullptr,
               zero.get(),
               reference ? &*reference : nullptr};
  if (recipe.zero.stage == 3) {
    trace_both_steps(loop, unrolled);
    return tape.finish();
  }
  trace_first_step(loop, optimizers, unrolled);
  if (recipe.eval_batch > 0) {
    structure = structure_of(evaluation_of(job), unrolled);
    sizes = evaluation_dims(job, dims);
    trace_evaluation(tape, batches, *model, recipe);
  }
  return tape.finish();
}

}  // namespace peakmem
