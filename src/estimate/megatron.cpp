#include "estimate/megatron.h"

#include <algorithm>
#include <map>
#include <utility>

#include "estimate/estimate.h"
#include "megatron/step.h"
#include "size/order.h"

namespace peakmem {
namespace {

/// A traced rank with its levels.
struct Traced {
  Program program;
  Timeline timeline;
  Peak peak;
};

Result<Traced> trace(mcore::Job job, int64_t rank) {
  job.rank = rank;
  Traced traced;
  traced.program = mcore::trace_rank(job);
  Result<Timeline> timeline = evaluate(traced.program, {});
  if (!timeline) return timeline.error();
  traced.timeline = std::move(*timeline);
  traced.peak = highest(traced.program, traced.timeline, 2, &PhaseLevels::tensors);
  return traced;
}

RankClass described(const mcore::Job& job, const Traced& traced, int64_t rank, int64_t ranks) {
  const int64_t stage = mcore::place_of(job.degrees, rank).stage;
  const mcore::Chunk chunk = mcore::chunk_of(job, stage, 0);
  return {.rank = rank,
          .ranks = ranks,
          .stage = stage,
          .layers = chunk.layers,
          .parameters = traced.program.parameters.number(),
          .first_step_bytes = highest(traced.program, traced.timeline, 1, &PhaseLevels::tensors).bytes,
          .tensor_bytes = traced.peak.bytes,
          .block_bytes = highest(traced.program, traced.timeline, 2, &PhaseLevels::blocks).bytes,
          .phase = traced.program.phases[static_cast<size_t>(traced.peak.at.phase)].name,
          .embeds = chunk.embeds,
          .heads = chunk.heads};
}

/// The ranks to trace: the first of every stage, and where parts of the optimizer's state are divided the last too.
std::vector<std::pair<int64_t, int64_t>> ranks_to_trace(const mcore::Degrees& d, bool divided) {
  std::vector<std::pair<int64_t, int64_t>> ranks;
  const int64_t of_stage = d.tp * d.dp;
  for (int64_t stage = 0; stage < d.pp; ++stage) {
    const bool two = divided && d.dp > 1;
    ranks.emplace_back(stage * of_stage, two ? of_stage - d.tp : of_stage);
    if (two) ranks.emplace_back((stage + 1) * of_stage - d.tp, d.tp);
  }
  return ranks;
}

std::vector<LivePlace> live_at(const Program& program, const Moment& moment) {
  const std::vector<Expr> counts = live_counts(program, moment);
  std::map<std::pair<Category, std::string>, LivePlace> places;
  for (size_t i = 0; i < counts.size(); ++i) {
    const int64_t count = counts[i].number();
    const Storage& storage = program.storages[i];
    if (count == 0 || storage.category == Category::kWorkspace) continue;
    const std::string place = program.path(storage.scope);
    LivePlace& entry = places[{storage.category, place}];
    entry.category = storage.category;
    entry.place = place.empty() ? storage.made_by : place;
    entry.bytes += count * storage.bytes.number();
    entry.count += count;
  }
  std::vector<LivePlace> live;
  for (auto& [key, entry] : places) live.push_back(std::move(entry));
  sort_by(live, [](const LivePlace& entry) { return -entry.bytes; });
  return live;
}

}  // namespace

Result<MegatronReport> megatron_report(const mcore::Job& job, const std::optional<int64_t>& rank) {
  MegatronReport report;
  for (const auto& [first, count] : ranks_to_trace(job.degrees, job.training.distributed_optimizer)) {
    const Result<Traced> traced = trace(job, first);
    if (!traced) return traced.error();
    report.classes.push_back(described(job, *traced, first, count));
  }
  sort_by(report.classes, [](const RankClass& each) { return -each.tensor_bytes; });
  const int64_t shown = rank.value_or(report.classes.front().rank);
  const Result<Traced> traced = trace(job, shown);
  if (!traced) return traced.error();
  report.shown = described(job, *traced, shown, 1);
  report.live = live_at(traced->program, traced->peak.at);
  report.phases = phase_reports(traced->program, traced->timeline);
  return report;
}

}  // namespace peakmem
