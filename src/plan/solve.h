// The largest batch or sequence that fits, by the verdict that estimate() gives.
#pragma once

#include "device/allocator.h"
#include "estimate/estimate.h"

namespace peakmem {

/// What is solved for.
enum class Unknown : uint8_t { kBatch, kSeq };

/// The largest value whose likely device bytes fit, and the next one's peak. value 0: not even 1 fits.
struct Solution {
  Unknown unknown = Unknown::kBatch;
  int64_t value = 0;
  int64_t peak_bytes = 0;       // device bytes (likely) at `value`
  int64_t next_peak_bytes = 0;  // at value + 1
  int64_t capacity_bytes = 0;
  std::string limit;  // what else stopped it: such as the learned position table
};

/// estimate() with the same `allocator` says of the solution's value that it fits, and of the next one that it does
/// not. The traced structure bounds the search from above, by what is allocated, a few microseconds a value; below that
/// the allocator is replayed, a few milliseconds a value and some dozen values at most. What is reserved need not grow
/// with the value, so another one further up may fit by luck.
Result<Solution> solve(const Job& job, Unknown unknown, const Gpu& gpu,
                       const std::optional<AllocatorOptions>& allocator = AllocatorOptions{});

}  // namespace peakmem
