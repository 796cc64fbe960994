#include "estimate/estimate.h"

#include <algorithm>

#include "device/cublas.h"
#include "estimate/device.h"
#include "estimate/ledger.h"
#include "estimate/nccl.h"
#include "estimate/reserved.h"
#include "size/order.h"
#include "size/terms.h"

namespace peakmem {
namespace {

constexpr int64_t kMostManaged = int64_t{1} << 60;  // so that what is added to it stays in 63 bits

int64_t workspaces(const Program& program, const Gpu* gpu) {
  return cublas_handles(program) * cublas_workspace_bytes(gpu);
}

/// Where most is allocated: in the steady step, unless the first or what is before it has more.
struct Fullest {
  int32_t step = 2;
  Peak blocks;
  int64_t workspaces = 0;  // cuBLAS's, which are not there before the first step
  int64_t allocated() const { return blocks.bytes + workspaces; }
};

Fullest fullest(const Program& program, const Timeline& timeline, const Gpu* gpu) {
  const int64_t taken = workspaces(program, gpu);
  Fullest most = {2, highest(program, timeline, 2, &PhaseLevels::blocks), taken};  // even where nothing is allocated
  for (const int32_t step : {1, 0}) {
    const Fullest of_step = {step, highest(program, timeline, step, &PhaseLevels::blocks), step == 0 ? 0 : taken};
    if (of_step.allocated() > most.allocated()) most = of_step;
  }
  return most;
}

Levels levels_of(const Program& program, const Timeline& timeline, const Gpu* gpu) {
  return {highest(program, timeline, 1, &PhaseLevels::tensors).bytes,
          highest(program, timeline, 2, &PhaseLevels::tensors).bytes, fullest(program, timeline, gpu).allocated()};
}

std::string phase_name(const Program& program, const Peak& peak) {
  return program.phases[static_cast<size_t>(peak.at.phase)].name;
}

/// A change of the recipe by its option, where it would be one.
struct Change {
  const char* option;
  bool (*apply)(Recipe& recipe);
};

template <class T>
bool set(T& field, T value) {
  const bool changes = field != value;
  field = value;
  return changes;
}

constexpr Change kChanges[] = {
    {"--checkpointing full",
     [](Recipe& r) { return r.checkpointing == Checkpointing::kNone && set(r.checkpointing, Checkpointing::kFull); }},
    {"--attention sdpa",
     [](Recipe& r) { return r.attention == Attention::kEager && set(r.attention, Attention::kSdpa); }},
    {"--attention eager",
     [](Recipe& r) { return r.attention == Attention::kSdpa && set(r.attention, Attention::kEager); }},
    {"--precision bf16-mixed",
     [](Recipe& r) {
       return product_dtype(r) == DType::kFloat32 && !r.sharding.casts_parameters &&
              set(r.autocast, std::optional(DType::kBFloat16));
     }},
    {"--precision bf16",
     [](Recipe& r) {
       if (r.weights != DType::kFloat32) return false;
       r.autocast.reset();
       if (r.sharding.by_accelerate) r.sharding.casts_parameters = r.sharding.casts_gradients = false;
       return set(r.weights, DType::kBFloat16);
     }},
    {"--autocast none",
     [](Recipe& r) {
       if (r.weights == DType::kFloat32 || !set(r.autocast, std::optional<DType>())) return false;
       if (r.sharding.by_accelerate) r.sharding.casts_parameters = r.sharding.casts_gradients = false;
       return true;
     }},
    {"--optimizer-impl fused",
     [](Recipe& r) { return r.optimizer->fused.available && set(r.impl, OptimizerImpl::kFused); }},
    {"--optimizer adafactor",
     [](Recipe& r) {
       if (is_wrapped(r.sharding) || !set(r.optimizer, find_optimizer("adafactor"))) return false;
       r.impl = r.optimizer->usual;
       r.rest = nullptr;
       return true;
     }},
    {"--reference precomputed",
     [](Recipe& r) { return r.reference != Reference::kNone && set(r.reference, Reference::kPrecomputed); }},
    {"half the evaluation's batch",
     [](Recipe& r) { return r.eval_batch > 1 && set(r.eval_batch, (r.eval_batch + 1) / 2); }},
    {"half the batch, --accumulate twice",
     [](Recipe& r) {
       const int64_t least = r.objective == Objective::kKto ? 4 : 2;  // KTOTrainer wants two sequences
       if (r.batch % 2 != 0 || r.batch < least) return false;
       r.batch /= 2;
       r.accumulate *= 2;
       return true;
     }},
};

}  // namespace

// zero_grad frees what the optimizer's phase ends with; it is no phase of its own to a reader.
std::vector<PhaseReport> phase_reports(const Program& program, const Timeline& timeline) {
  std::vector<PhaseReport> reports;
  for (size_t i = 0; i < timeline.size(); ++i) {
    const Phase& phase = program.phases[i];
    const PhaseLevels& levels = timeline[i];
    if (std::string_view(phase.name) == "zero_grad") {
      reports.back().end_bytes = levels.end.tensors;
      continue;
    }
    reports.push_back(
        {phase.step, phase.micro, phase.name, levels.start.tensors, levels.tensors.bytes, levels.end.tensors});
  }
  return reports;
}

Result<Levels> peak_levels(const Job& job, const Gpu* gpu) {
  return peak_levels(trace_step(job, number_dims(job)), gpu);
}

Result<Levels> peak_levels(const Program& program, const Gpu* gpu) {
  const Result<Timeline> timeline = evaluate(program, {});
  if (!timeline) return timeline.error();
  Levels levels = levels_of(program, *timeline, gpu);
  levels.managed = evaluate(program.managed, {});
  return levels;
}

TracedJob::TracedJob(const Job& job) : pool_(std::make_shared<Pool>()) {
  const Dims dims = symbol_dims(job, *pool_, values_);
  program_ = trace_step(job, dims);
}

Result<Levels> TracedJob::at(const std::vector<const char*>& symbols, int64_t value, const Gpu* gpu) const {
  std::vector<int64_t> sizes = values_;
  for (const char* symbol : symbols)
    if (const int32_t index = pool_->symbol_index(symbol); index >= 0) sizes[static_cast<size_t>(index)] = value;
  const Result<Timeline> timeline = evaluate(program_, pool_->evaluate(sizes));
  if (!timeline) return timeline.error();
  return levels_of(program_, *timeline, gpu);
}

Result<Report> estimate(const Job& job, const Gpu* gpu, const std::optional<AllocatorOptions>& allocator,
                        int64_t headroom_bytes) {
  auto pool = std::make_shared<Pool>();
  Report report;
  const Dims dims = symbol_dims(job, *pool, report.symbol_values);
  const Program program = trace_step(job, dims);
  const std::vector<int64_t> values = pool->evaluate(report.symbol_values);
  const Result<Timeline> timeline = evaluate(program, values);
  if (!timeline) return timeline.error();

  const Fullest most = fullest(program, *timeline, gpu);
  report.step = most.step == 0 ? 0 : 2;
  const Peak peak = highest(program, *timeline, report.step, &PhaseLevels::tensors);
  report.parameters = evaluate(program.parameters, report.symbol_values);
  report.trainable = evaluate(program.trained_parameters, report.symbol_values);
  report.tensor_bytes = peak.bytes;
  report.phase = phase_name(program, peak);
  report.allocated_phase = phase_name(program, most.blocks);
  report.allocated_step = most.step;
  const Peak first = highest(program, *timeline, 1, &PhaseLevels::tensors);
  report.first_step_bytes = first.bytes;
  report.first_step_phase = phase_name(program, first);
  report.phases = phase_reports(program, *timeline);
  report.block_bytes = most.allocated();
  const std::optional<Replayed> replayed = allocator ? std::optional(replay_job(job, gpu, *allocator)) : std::nullopt;
  report.allocated_bytes = report.block_bytes + (replayed ? left_whole(report.block_bytes, *replayed) : 0);
  report.reserved = replayed ? reserved_range(report.block_bytes, *replayed) : reserved_range(report.block_bytes);
  report.managed_bytes = evaluate(program.managed, report.symbol_values);
  if (report.managed_bytes < 0 || report.managed_bytes > kMostManaged)
    return Error{"sizes", "managed memory passes 2^60 bytes", "check the config's sizes"};
  report.device = device_range(report.reserved, gpu, report.managed_bytes, nccl_bytes(job.recipe));
  // Counts multiply sizes here, so the pool has formulas that were not evaluated yet.
  report.ledger = ledger(job, program, most.blocks.at, *pool, report.symbol_values,
                         {cublas_handles(program), most.workspaces, report.allocated_bytes - report.block_bytes});
  if (!job.recording) report.modules = module_work(program, steady_work(program, values, job.recipe.accumulate));
  if (gpu != nullptr) report.fits = verdict(report.device, *gpu, headroom_bytes);
  if (report.fits && replayed && has_retries(*replayed)) report.fits->retries = replayed->retries;
  report.pool = std::move(pool);
  return report;
}

std::vector<ChangedJob> changed_jobs(const Job& job) {
  std::vector<ChangedJob> jobs;
  if (job.recording) return jobs;
  for (const Change& change : kChanges) {
    Job changed = job;
    if (!change.apply(changed.recipe)) continue;
    convert_sharded(changed.recipe);
    if (job.description.eager_only && changed.recipe.attention != job.recipe.attention) continue;
    if (!job.description.checkpoints && changed.recipe.checkpointing != job.recipe.checkpointing) continue;
    jobs.push_back({change.option, std::move(changed)});
  }
  return jobs;
}

std::vector<Knob> knobs(const Job& job, const Gpu* gpu, int64_t block_bytes) {
  std::vector<Knob> found;
  for (const ChangedJob& changed : changed_jobs(job)) {
    const Result<Levels> levels = peak_levels(changed.job, gpu);
    if (levels && levels->allocated < block_bytes) found.push_back({changed.option, block_bytes - levels->allocated});
  }
  sort_by(found, [](const Knob& knob) { return -knob.saves_bytes; });
  return found;
}

}  // namespace peakmem
