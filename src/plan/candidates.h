// One job at many values of one size: what it allocates, and whether it fits.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "estimate/estimate.h"
#include "plan/variants.h"

namespace peakmem {

/// The values of the unknown that were tried, each by its number in the grid. What is allocated is exact and quick, a
/// few microseconds a value, and bounds what is reserved; that is replayed, a few milliseconds a value. PyTorch takes
/// other paths for some sizes; each form of the job is traced once, where the unknown is a letter of the trace.
class Candidates {
 public:
  /// `capacity_bytes`: what the job may take of the GPU.
  Candidates(Variants variants, const Gpu& gpu, const std::optional<AllocatorOptions>& allocator,
             int64_t capacity_bytes);

  /// The device bytes at a value, as estimate() has them; nothing where they pass 62 bits or there is no such job.
  std::optional<Range> device(int64_t value);
  /// By its likely device bytes, as the verdict has it.
  bool fits(int64_t value);
  /// By its range's upper end.
  bool fits_surely(int64_t value);

  /// What is allocated leaves room for the least that is reserved; where not, it does not fit.
  bool may_fit(int64_t value);
  /// The same for the least that the upper end is.
  bool may_fit_surely(int64_t value);

  /// Values whose allocations were replayed, and whether they fit.
  const std::map<int64_t, bool>& tried() const { return tried_; }
  const Variants& variants() const { return variants_; }
  const Grid& grid() const { return variants_.grid; }
  bool is_job(int64_t value) { return set(value); }

 private:
  /// What is allocated, and of managed memory.
  struct Bytes {
    int64_t allocated = 0;
    int64_t managed = 0;
  };
  bool set(int64_t value);
  const TracedJob& traced();
  std::optional<Bytes> bytes(int64_t value);
  std::optional<Range> bounds(int64_t value);

  Variants variants_;
  const Gpu& gpu_;
  std::optional<AllocatorOptions> allocator_;
  int64_t capacity_;
  Job job_;             // at the value that was last asked for; traces point into it
  int64_t value_ = -1;  // its number
  std::vector<std::pair<JobForm, std::unique_ptr<TracedJob>>> traces_;
  std::map<int64_t, std::optional<Bytes>> bytes_;   // by value, of those that are traced one by one
  std::map<int64_t, std::optional<Range>> device_;  // by value
  std::map<int64_t, bool> tried_;
};

}  // namespace peakmem
