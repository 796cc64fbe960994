// The memory of a run over many ranks, of which those that hold the same are one class.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "estimate/report.h"
#include "size/result.h"
#include "trace/program.h"

namespace peakmem {

/// A class of ranks before it was traced: the first of them, how many they are, and what of the model they have.
struct RankPlace {
  int64_t rank = 0;
  int64_t ranks = 1;
  int64_t stage = 0;
  int64_t layers = 0;
  bool embeds = false;
  bool heads = false;
};

/// Ranks that hold the same.
struct RankClass {
  RankPlace place;
  int64_t parameters = 0;
  int64_t first_step_bytes = 0;
  int64_t tensor_bytes = 0;  // of the steady step, at its highest
  int64_t block_bytes = 0;   // the same in blocks of the allocator
  std::string phase;         // where that is
};

/// What lives at a rank's peak, by category and place.
struct LivePlace {
  Category category = Category::kWeights;
  std::string place;
  int64_t bytes = 0;
  int64_t count = 0;
};

/// All classes, and one rank looked at.
struct RankReport {
  std::vector<RankClass> classes;  // the fullest first
  RankClass shown;                 // the rank that was asked for, or the fullest
  std::vector<LivePlace> live;     // at its peak, the most first
  std::vector<PhaseReport> phases;
};

/// Two steps of one rank.
using RankTracer = std::function<Program(int64_t rank)>;

/// Traces one rank of each class, and `shown` (none: the fullest one).
Result<RankReport> report_ranks(const std::vector<RankPlace>& classes, const RankTracer& trace,
                                const std::optional<RankPlace>& shown);

}  // namespace peakmem
