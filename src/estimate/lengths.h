// What the same step takes with batches of other lengths.
#pragma once

#include <optional>
#include <vector>

#include "device/allocator.h"
#include "estimate/report.h"
#include "recipe/job.h"

namespace peakmem {

/// The job at each of `rows`, whose `share` and `seq` are there: its peak, and whether it fits on the GPU, where one is
/// named. Fails where a size passes what can be counted.
Result<std::vector<LengthRow>> at_lengths(const Job& job, std::vector<LengthRow> rows, const Gpu* gpu,
                                          const std::optional<AllocatorOptions>& allocator, int64_t headroom_bytes);

}  // namespace peakmem
