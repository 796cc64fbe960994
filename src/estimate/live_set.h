// Everything that is live at one moment of a step, as it was measured or as we trace it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "estimate/report.h"
#include "size/result.h"
#include "train/step.h"

namespace peakmem {

/// Storages of one size and one name.
struct LiveGroup {
  int64_t bytes = 0;  // of each
  int64_t count = 0;
  std::string name;
};

/// What is live at a moment. `bytes` may be more than the groups and what was made earlier: a record lists only its
/// largest groups.
struct LiveSet {
  int32_t step = 0;   // 0: not known
  std::string phase;  // empty: not known
  int64_t bytes = 0;
  int64_t earlier_bytes = 0;  // made before the first step and not in `groups`
  std::vector<LiveGroup> groups;
  std::map<std::string, int64_t> categories;  // bytes by the ledger's categories; empty: not known

  /// The bytes that are in no group and were not made earlier.
  int64_t unlisted_bytes() const;
};

/// A live set and the levels of the phases around it.
struct LivePeak {
  LiveSet live;
  std::vector<PhaseReport> phases;
};

/// What is asked of the trace.
struct LiveView {
  int32_t step = 2;
  std::string phase;            // the highest moment of this phase; empty: of the whole step
  bool in_blocks = false;       // sizes in blocks of 512 bytes, as the caching allocator gives them
  bool earlier_apart = false;   // what was made before the first step is one sum
  int64_t workspace_bytes = 0;  // of each of cuBLAS's workspaces, if they are to be there
};

/// What the traced job keeps at its highest moment, or an Error where the step has no such phase.
Result<LivePeak> live_peak(const Job& job, const LiveView& view);

}  // namespace peakmem
