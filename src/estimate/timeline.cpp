#include "estimate/timeline.h"

#include <algorithm>
#include <string_view>

#include "device/cublas.h"
#include "estimate/estimate.h"
#include "size/order.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

constexpr int64_t kStretches = 1200;
constexpr int64_t kMaxEvents = 2'000'000;  // walked one by one; of deeper models turns are skipped evenly

int64_t turns_of(const Program& program, const Segment& segment) {
  return program.turns[static_cast<size_t>(segment.turn)].count.number();
}

/// Events of a phase, every turn counted.
int64_t events_of(const Program& program, const Phase& phase) {
  int64_t events = 0;
  for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
    const Segment& segment = program.segments[static_cast<size_t>(s)];
    events += turns_of(program, segment) * (segment.last - segment.first);
  }
  return events;
}

/// Points by stretches of events: the first, the lowest and the highest of each, in order.
class Curve {
 public:
  explicit Curve(int64_t events) : stretch_(std::max<int64_t>(1, events / kStretches)) {}

  void add(const TimelinePoint& point) {
    if (!kept_.empty() && point.event / stretch_ != kept_[0].event / stretch_) flush();
    if (kept_.empty()) {
      kept_ = {point, point, point};
      return;
    }
    if (point.bytes < kept_[1].bytes) kept_[1] = point;
    if (point.bytes > kept_[2].bytes) kept_[2] = point;
  }
  std::vector<TimelinePoint> points() && {
    flush();
    return std::move(points_);
  }

 private:
  void flush() {
    sort_by(kept_, [](const TimelinePoint& point) { return point.event; });
    for (const TimelinePoint& point : kept_)
      if (points_.empty() || points_.back().event != point.event) points_.push_back(point);
    kept_.clear();
  }

  int64_t stretch_;
  std::vector<TimelinePoint> kept_;  // first, lowest, highest of this stretch
  std::vector<TimelinePoint> points_;
};

/// Walks the events of a step. Every turn of a segment shifts the level by the same amount, so that of very many turns
/// some can be passed over; the first and the last, one of which has the highest level, never are.
class Walk {
 public:
  Walk(const Program& program, int64_t level, int64_t events)
      : program_(program), level_(level), skip_(events / kMaxEvents + 1), curve_(events) {}

  void run(const Phase& phase, MemoryTimeline& timeline) {
    const std::string_view name = phase.name;
    TimelinePhase phase_of = {phase.name, event_, event_, level_};
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s)
      run(program_.segments[static_cast<size_t>(s)], phase_of.peak_bytes);
    phase_of.last = event_;
    if (phase.micro > 0) phase_of.name += " " + std::to_string(phase.micro + 1);
    if (highest_.bytes > timeline.peak.bytes) {
      timeline.peak = highest_;
      timeline.peak_phase = name;
    }
    timeline.phases.push_back(phase_of);
  }
  std::vector<TimelinePoint> points() && { return std::move(curve_).points(); }
  int64_t events() const { return event_; }

 private:
  void run(const Segment& segment, int64_t& peak) {
    const int64_t turns = turns_of(program_, segment);
    const int64_t length = segment.last - segment.first;
    int64_t change = 0;
    for (int64_t turn = 0; turn < turns; ++turn) {
      const int64_t before = level_;
      for (int32_t i = segment.first; i < segment.last; ++i) step(program_.events[static_cast<size_t>(i)], peak);
      change = level_ - before;
      const int64_t passed = std::min(skip_ - 1, turns - turn - 2);
      if (passed <= 0) continue;
      turn += passed;
      event_ += passed * length;
      level_ += passed * change;
    }
  }
  void step(const Event& event, int64_t& peak) {
    const Storage& storage = program_.storages[static_cast<size_t>(event.storage)];
    const int64_t bytes = of_allocator(storage, storage.bytes.number());
    level_ += event.birth ? bytes : -bytes;
    const TimelinePoint point = {event_++, level_};
    peak = std::max(peak, level_);
    if (level_ > highest_.bytes) highest_ = point;
    curve_.add(point);
  }

  const Program& program_;
  int64_t level_;
  int64_t skip_;
  int64_t event_ = 0;
  TimelinePoint highest_;
  Curve curve_;
};

int64_t start_of_step(const Program& program, const Timeline& levels, int32_t step) {
  for (size_t p = 0; p < program.phases.size(); ++p)
    if (program.phases[p].step == step) return levels[p].start.blocks;
  return 0;
}

}  // namespace

Result<MemoryTimeline> memory_timeline(const Job& job, const Gpu* gpu,
                                       const std::optional<AllocatorOptions>& allocator) {
  Result<Report> report = estimate(job, gpu, allocator);
  if (!report) return report.error();
  const Program program = trace_step(job, number_dims(job));
  const Result<Timeline> levels = evaluate(program, {});
  if (!levels) return levels.error();
  MemoryTimeline timeline;
  for (const Phase& phase : program.phases)
    if (phase.step == 2) timeline.events += events_of(program, phase);
  const int64_t start = start_of_step(program, *levels, 2) + cublas_handles(program) * cublas_workspace_bytes(gpu);
  Walk walk(program, start, timeline.events);
  for (const Phase& phase : program.phases)
    if (phase.step == 2) walk.run(phase, timeline);
  timeline.points = std::move(walk).points();
  timeline.report = std::move(*report);
  return timeline;
}

}  // namespace peakmem
