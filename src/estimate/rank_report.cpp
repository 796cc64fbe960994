#include "estimate/rank_report.h"

#include <map>
#include <utility>

#include "estimate/estimate.h"
#include "size/order.h"

namespace peakmem {
namespace {

/// A traced rank with its levels.
struct Traced {
  Program program;
  Timeline timeline;
  Peak peak;
};

Result<Traced> traced_rank(const RankTracer& trace, int64_t rank) {
  Traced traced;
  traced.program = trace(rank);
  Result<Timeline> timeline = evaluate(traced.program, {});
  if (!timeline) return timeline.error();
  traced.timeline = std::move(*timeline);
  traced.peak = highest(traced.program, traced.timeline, 2, &PhaseLevels::tensors);
  return traced;
}

RankClass described(const Traced& traced, const RankPlace& place) {
  return {.place = place,
          .parameters = traced.program.parameters.number(),
          .first_step_bytes = highest(traced.program, traced.timeline, 1, &PhaseLevels::tensors).bytes,
          .tensor_bytes = traced.peak.bytes,
          .block_bytes = highest(traced.program, traced.timeline, 2, &PhaseLevels::blocks).bytes,
          .phase = traced.program.phases[static_cast<size_t>(traced.peak.at.phase)].name};
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

Result<RankReport> report_ranks(const std::vector<RankPlace>& classes, const RankTracer& trace,
                                const std::optional<RankPlace>& shown) {
  RankReport report;
  for (const RankPlace& place : classes) {
    const Result<Traced> traced = traced_rank(trace, place.rank);
    if (!traced) return traced.error();
    report.classes.push_back(described(*traced, place));
  }
  sort_by(report.classes, [](const RankClass& each) { return -each.tensor_bytes; });
  RankPlace looked_at = shown.value_or(report.classes.front().place);
  looked_at.ranks = 1;
  const Result<Traced> traced = traced_rank(trace, looked_at.rank);
  if (!traced) return traced.error();
  report.shown = described(*traced, looked_at);
  report.live = live_at(traced->program, traced->peak.at);
  report.phases = phase_reports(traced->program, traced->timeline);
  return report;
}

}  // namespace peakmem
