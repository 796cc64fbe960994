// Memory over the steady step, as points of a curve.
#pragma once

#include <string>
#include <vector>

#include "device/allocator.h"
#include "estimate/report.h"
#include "train/step.h"

namespace peakmem {

/// Bytes after an event: blocks of 512 and cuBLAS workspaces, as torch.cuda.memory_allocated says. `event` counts
/// allocations and releases from the start of the step; a trace knows their order, not their time.
struct TimelinePoint {
  int64_t event = 0;
  int64_t bytes = 0;
};

/// A phase's events [first, last).
struct TimelinePhase {
  std::string name;
  int64_t first = 0;
  int64_t last = 0;
  int64_t peak_bytes = 0;
};

/// The curve of step 2. There are at most some thousand points however deep the model: of every stretch of events its
/// first, lowest and highest, so the peak is always among them.
struct MemoryTimeline {
  std::vector<TimelinePoint> points;
  std::vector<TimelinePhase> phases;
  TimelinePoint peak;
  std::string peak_phase;
  int64_t events = 0;
  Report report;  // of the same job: what lives at the peak
};

/// `allocator` as in estimate().
Result<MemoryTimeline> memory_timeline(const Job& job, const Gpu* gpu,
                                       const std::optional<AllocatorOptions>& allocator = AllocatorOptions{});

}  // namespace peakmem
