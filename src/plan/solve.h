// The largest batch or sequence that fits: exactly, by evaluating the traced structure.
#pragma once

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

Result<Solution> solve(const Job& job, Unknown unknown, const Gpu& gpu);

}  // namespace peakmem
