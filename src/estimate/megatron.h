// The memory of a Megatron-Core run, rank by rank.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "estimate/report.h"
#include "megatron/job.h"
#include "size/result.h"
#include "trace/program.h"

namespace peakmem {

/// Ranks that hold the same: those of a stage, and under the distributed optimizer with the same part of it.
struct RankClass {
  int64_t rank = 0;   // the first of them
  int64_t ranks = 0;  // how many they are
  int64_t stage = 0;
  int64_t layers = 0;
  int64_t parameters = 0;
  int64_t first_step_bytes = 0;
  int64_t tensor_bytes = 0;  // of the steady step, at its highest
  int64_t block_bytes = 0;   // the same in blocks of the allocator
  std::string phase;         // where that is
  bool embeds = false;
  bool heads = false;
};

/// What lives at a rank's peak, by category and place.
struct LivePlace {
  Category category = Category::kWeights;
  std::string place;
  int64_t bytes = 0;
  int64_t count = 0;
};

struct MegatronReport {
  std::vector<RankClass> classes;  // the fullest first
  RankClass shown;                 // the rank that was asked for, or the fullest
  std::vector<LivePlace> live;     // at its peak, the most first
  std::vector<PhaseReport> phases;
};

/// Traces one rank of each class. `rank`: which one to look at; none: the fullest.
Result<MegatronReport> megatron_report(const mcore::Job& job, const std::optional<int64_t>& rank);

}  // namespace peakmem
