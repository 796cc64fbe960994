// What was measured against what we trace: the live sets at the two peaks, matched by size.
#pragma once

#include <string>
#include <vector>

#include "estimate/live_set.h"

namespace peakmem {

/// All storages of one size, on both sides.
struct DiffRow {
  int64_t bytes = 0;   // of each
  int64_t theirs = 0;  // how many
  int64_t ours = 0;
  std::vector<LiveGroup> their_groups;  // those that are known by name, the most numerous first
  std::vector<LiveGroup> our_groups;

  int64_t difference() const { return (ours - theirs) * bytes; }
};

/// Bytes under a name, on both sides.
struct DiffSum {
  std::string name;
  int64_t theirs = 0;
  int64_t ours = 0;

  int64_t difference() const { return ours - theirs; }
};

/// The comparison. The rows' differences and those of `earlier` and `unlisted` sum to the difference of the peaks.
struct Diff {
  LivePeak theirs;
  LivePeak ours;
  std::vector<DiffRow> rows;           // the largest difference first, then the most bytes
  DiffSum earlier;                     // made before the first step, where that is told apart
  DiffSum unlisted;                    // what the measurement does not list, and what of ours must be among it
  std::vector<DiffRow> unlisted_rows;  // ours in it
  std::vector<DiffSum> categories;     // where the measurement knows them
  std::vector<DiffSum> phases;         // peaks of the phases that both have, in order

  /// Of the peaks.
  int64_t difference() const { return ours.live.bytes - theirs.live.bytes; }
};

/// `theirs` was measured, `ours` traced with a view that fits it.
Diff diff(LivePeak theirs, LivePeak ours);

}  // namespace peakmem
