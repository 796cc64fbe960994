#include "estimate/live_set.h"

#include <string_view>
#include <utility>

#include "device/cublas.h"
#include "estimate/estimate.h"
#include "estimate/ledger.h"
#include "size/wording.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

/// The step's highest moment, or that of one of its phases.
Peak peak_of(const Program& program, const Timeline& timeline, const LiveView& view) {
  const auto which = view.in_blocks ? &PhaseLevels::blocks : &PhaseLevels::tensors;
  Peak highest;
  for (size_t p = 0; p < timeline.size(); ++p) {
    const Phase& phase = program.phases[p];
    if (phase.step != view.step || !(view.phase.empty() || view.phase == phase.name)) continue;
    if (highest.at.phase < 0 || (timeline[p].*which).bytes > highest.bytes) highest = timeline[p].*which;
  }
  return highest;
}

/// Which storages are alive from before the first step to `at`: nothing happened to them since.
std::vector<bool> made_earlier(const Program& program, const Moment& at) {
  std::vector<bool> earlier(program.storages.size(), true);
  for (int32_t p = 0; p <= at.phase; ++p) {
    const Phase& phase = program.phases[static_cast<size_t>(p)];
    if (phase.step == 0) continue;
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
      const Segment& segment = program.segments[static_cast<size_t>(s)];
      const bool here = p == at.phase && s >= at.segment;
      if (here && s > at.segment) return earlier;
      const int32_t last = here && !at.last_turn ? at.event + 1 : segment.last;
      for (int32_t i = segment.first; i < last; ++i)
        earlier[static_cast<size_t>(program.events[static_cast<size_t>(i)].storage)] = false;
    }
  }
  return earlier;
}

/// How the records tell storages apart: by the phase that makes them, and whether the backward pass releases them.
struct Lives {
  std::vector<std::string_view> births;
  std::vector<bool> end_in_backward;
};

Lives lives_of(const Program& program) {
  Lives lives = {std::vector<std::string_view>(program.storages.size()), std::vector<bool>(program.storages.size())};
  for (const Phase& phase : program.phases)
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
      const Segment& segment = program.segments[static_cast<size_t>(s)];
      for (int32_t i = segment.first; i < segment.last; ++i) {
        const Event& event = program.events[static_cast<size_t>(i)];
        std::string_view& birth = lives.births[static_cast<size_t>(event.storage)];
        if (event.birth && birth.empty()) birth = phase.name;
        if (!event.birth && std::string_view(phase.name) == "backward")
          lives.end_in_backward[static_cast<size_t>(event.storage)] = true;
      }
    }
  return lives;
}

/// The category as the records have it: an activation is whatever the forward pass made, a temporary what came later,
/// and a gradient only what is still there after the backward pass.
std::string measured_category(const Storage& storage, const Lives& lives, size_t i) {
  switch (storage.category) {
    case Category::kActivations:
    case Category::kTemporaries:
      return lives.births[i] == "forward" ? "activations" : "temporaries";
    case Category::kGradients:
      return lives.end_in_backward[i] ? "temporaries" : category_name(storage);
    default:
      return category_name(storage);
  }
}

/// "bfloat16 model.layers.*.mlp: mul", "float32 lm_head.weight: gradients"
std::string full_name(const Program& program, const Storage& storage) {
  const std::string name = row_name(program, storage);
  const bool says_op = name.find(": ") != std::string::npos || name == storage.made_by;
  return std::string(name_of(storage.dtype)) + " " + name + (says_op ? "" : ": " + std::string(category_name(storage)));
}

LiveSet gather(const Program& program, const Moment& at, const LiveView& view) {
  const std::vector<Expr> counts = live_counts(program, at);
  const std::vector<bool> earlier = made_earlier(program, at);
  const Lives lives = lives_of(program);
  std::map<std::pair<int64_t, std::string>, int64_t> groups;
  LiveSet live;
  for (size_t i = 0; i < counts.size(); ++i) {
    const Storage& storage = program.storages[i];
    const int64_t count = counts[i].number();
    const int64_t size = storage.bytes.number();
    const int64_t bytes = view.in_blocks ? of_allocator(storage, size) : of_tensor(storage, size);
    if (count == 0 || bytes == 0) continue;
    live.bytes += count * bytes;
    live.categories[measured_category(storage, lives, i)] += count * bytes;
    if (earlier[i] && view.earlier_apart)
      live.earlier_bytes += count * bytes;
    else
      groups[{bytes, full_name(program, storage)}] += count;
  }
  for (const auto& [group, count] : groups) live.groups.push_back({group.first, count, group.second});
  return live;
}

void add_workspaces(const Program& program, LiveSet& live, const LiveView& view) {
  const int64_t handles = view.workspace_bytes == 0 ? 0 : cublas_handles(program);
  if (handles == 0) return;
  live.groups.push_back(
      {view.workspace_bytes, handles, "workspace cuBLAS, " + std::string(handles == 1 ? "one handle" : "two handles")});
  live.bytes += handles * view.workspace_bytes;
}

}  // namespace

int64_t LiveSet::unlisted_bytes() const {
  int64_t rest = bytes - earlier_bytes;
  for (const LiveGroup& group : groups) rest -= group.bytes * group.count;
  return rest;
}

Result<LivePeak> live_peak(const Job& job, const LiveView& view) {
  const Program program = trace_step(job, number_dims(job));
  const Result<Timeline> timeline = evaluate(program, {});
  if (!timeline) return timeline.error();
  const Peak peak = peak_of(program, *timeline, view);
  if (peak.at.phase < 0)
    return Error{"--phase", in_quotes(view.phase) + " is no phase of this step",
                 "phases are input, forward, backward, clip and optimizer"};
  LivePeak found = {gather(program, peak.at, view), phase_reports(program, *timeline)};
  found.live.step = view.step;
  found.live.phase = program.phases[static_cast<size_t>(peak.at.phase)].name;
  add_workspaces(program, found.live, view);
  return found;
}

}  // namespace peakmem
