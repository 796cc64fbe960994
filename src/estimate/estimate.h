// From a job to its report.
#pragma once

#include <functional>

#include "device/allocator.h"
#include "estimate/report.h"
#include "trace/evaluate.h"
#include "train/step.h"

namespace peakmem {

/// The highest levels of a job: the tensors of step 1 and of the steady step, and what is allocated of all, but for
/// what the allocator leaves whole. The quick answer, without a ledger.
struct Levels {
  int64_t first_step = 0;
  int64_t tensors = 0;
  int64_t allocated = 0;
  int64_t managed = 0;  // managed memory beside these; peak_levels() alone says it
};
Result<Levels> peak_levels(const Job& job, const Gpu* gpu);
/// The same of a job's trace on numbers.
Result<Levels> peak_levels(const Program& program, const Gpu* gpu);

/// Every phase's levels, in order.
std::vector<PhaseReport> phase_reports(const Program& program, const Timeline& timeline);

/// The whole report. `gpu` may be null: then there is no verdict, and workspaces are those of an A100. `allocator`:
/// how the caching allocator is set, for what it reserves; without one nothing is replayed, and that is only bounded.
/// `headroom_bytes` of the GPU are to stay free.
Result<Report> estimate(const Job& job, const Gpu* gpu,
                        const std::optional<AllocatorOptions>& allocator = AllocatorOptions{},
                        int64_t headroom_bytes = 0);

/// A job with one change of its recipe, by the option that makes it.
struct ChangedJob {
  const char* option;
  Job job;
};
/// The changes most likely to help, those left out that change nothing.
std::vector<ChangedJob> changed_jobs(const Job& job);

/// What the changes most likely to help would save, re-estimated; the best first, those that save nothing left out.
std::vector<Knob> knobs(const Job& job, const Gpu* gpu, int64_t block_bytes);

/// A job traced once with symbols, to be evaluated at many sizes of one of them.
class TracedJob {
 public:
  explicit TracedJob(const Job& job);
  /// The levels with `symbols` ("B", "T", ...) at `value`, the others as in the job.
  Result<Levels> at(const std::vector<const char*>& symbols, int64_t value, const Gpu* gpu) const;
  const Program& program() const { return program_; }
  const Pool& pool() const { return *pool_; }
  const std::vector<int64_t>& symbol_values() const { return values_; }

 private:
  std::shared_ptr<Pool> pool_;
  std::vector<int64_t> values_;
  Program program_;
};

}  // namespace peakmem
