#include "estimate/rank_report.h"

#include <algorithm>
#include <map>
#include <utility>

#include "device/replay.h"
#include "estimate/device.h"
#include "estimate/estimate.h"
#include "estimate/reserved.h"
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

/// What the allocator makes of a rank's trace, whose layers and micro-batches are all there.
void replay_rank(const Traced& traced, const RankCard& card, RankClass& rank, std::optional<CardMemory>& fullest) {
  if (card.gpu == nullptr) return;
  const int64_t workspace = card.workspace_bytes > 0 ? card.workspace_bytes : cublas_workspace_bytes(card.gpu);
  Replayed replayed = replay(traced.program, card.allocator, workspace);
  replayed.is_whole = true;
  rank.allocated_bytes = replayed.peak.allocated;
  rank.reserved_bytes = replayed.peak.reserved;
  const int64_t blocks = std::max(replayed.peak.rounded, rank.block_bytes);
  const Range reserved = reserved_range(blocks, replayed);
  if (fullest && fullest->reserved.likely >= reserved.likely) return;
  const Range device = device_range(reserved, card.gpu);
  fullest = CardMemory{rank.place.rank, reserved, device, verdict(device, *card.gpu, card.headroom_bytes)};
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

Result<RankClass> report_rank(const RankPlace& place, const RankTracer& trace, const RankCard& card) {
  const Result<Traced> traced = traced_rank(trace, place.rank);
  if (!traced) return traced.error();
  RankClass rank = described(*traced, place);
  std::optional<CardMemory> fullest;
  replay_rank(*traced, card, rank, fullest);
  return rank;
}

Result<RankReport> report_ranks(const std::vector<RankPlace>& classes, const RankTracer& trace,
                                const std::optional<RankPlace>& shown, const RankCard& card) {
  RankReport report;
  for (const RankPlace& place : classes) {
    const Result<Traced> traced = traced_rank(trace, place.rank);
    if (!traced) return traced.error();
    report.classes.push_back(described(*traced, place));
    replay_rank(*traced, card, report.classes.back(), report.card);
  }
  sort_by(report.classes, [](const RankClass& each) { return -each.tensor_bytes; });
  const RankPlace looked_at = shown.value_or(report.classes.front().place);
  const Result<Traced> traced = traced_rank(trace, looked_at.rank);
  if (!traced) return traced.error();
  report.shown = described(*traced, looked_at);
  std::optional<CardMemory> not_the_fullest;
  replay_rank(*traced, card, report.shown, not_the_fullest);
  report.live = live_at(traced->program, traced->peak.at);
  report.phases = phase_reports(traced->program, traced->timeline);
  return report;
}

}  // namespace peakmem
