// The memory of a torchtitan run, rank by rank.
#pragma once

#include <cstdint>
#include <optional>

#include "estimate/rank_report.h"
#include "torchtitan/job.h"

namespace peakmem {

/// Traces the first rank of every stage. `rank`: which one to look at; none: the fullest.
Result<RankReport> torchtitan_report(const titan::Job& job, const std::optional<int64_t>& rank);

}  // namespace peakmem
