// What a file measured, whatever its format: a record or a trace of the oracle, or a snapshot of PyTorch's allocator.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/gpu.h"
#include "estimate/live_set.h"

namespace peakmem {

/// The live set at the peak of a measured run.
struct Measurement {
  const char* format = "";  // "record", "trace", "snapshot"
  std::optional<Job> job;   // what was run; a snapshot does not say
  std::string model;        // its family, where the job is known
  LivePeak peak;
  bool earlier_apart = false;      // what was made before the first step is one sum
  bool in_blocks = false;          // sizes are blocks of the allocator, not what was asked for
  bool has_workspaces = false;     // cuBLAS's are among it
  std::vector<std::string> notes;  // what the file does not say
};

/// What of the file is asked for.
struct MeasurementChoice {
  std::optional<int64_t> record;  // which line of a file of records, from 1
  std::optional<int64_t> step;    // 1 or 2; none: the last there is
  std::string phase;              // the peak of this phase; empty: of the step
};

/// Reads the file `text`, by what is in it:
///
///     {"case": …, "peak": …}        a record, or a file of one a line (oracle/README.md)
///     # {"task": …}                 a trace: every allocation and release of a case
///     {"segments": …}, a pickle     what torch.cuda.memory._dump_snapshot() writes
Result<Measurement> read_measurement(std::string_view text, const MeasurementChoice& choice);

/// How our live set has to be looked at to be compared. `gpu`, which may be null, decides the size of workspaces.
LiveView view_for(const Measurement& measurement, const MeasurementChoice& choice, const Gpu* gpu);

}  // namespace peakmem
