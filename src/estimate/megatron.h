// The memory of a Megatron-Core run, rank by rank.
#pragma once

#include <cstdint>
#include <optional>

#include "estimate/rank_report.h"
#include "megatron/job.h"

namespace peakmem {

/// Traces one rank of each class: those of a stage, and under the distributed optimizer with the same part of it.
/// `rank`: which one to look at; none: the fullest.
Result<RankReport> megatron_report(const mcore::Job& job, const std::optional<int64_t>& rank,
                                   const RankCard& card = {});

/// The rank that the job names, by itself.
Result<RankClass> megatron_rank(const mcore::Job& job, const RankCard& card = {});

}  // namespace peakmem
