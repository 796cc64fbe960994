// The memory of a run over many ranks, of which those that hold the same are one class.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "device/allocator.h"
#include "device/gpu.h"
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
  int64_t tensor_bytes = 0;     // of the steady step, at its highest
  int64_t block_bytes = 0;      // the same in blocks of the allocator
  int64_t allocated_bytes = 0;  // torch.cuda.max_memory_allocated, where a card is named; else 0, as the next
  int64_t reserved_bytes = 0;   // torch.cuda.max_memory_reserved
  std::string phase;            // where that is
};

/// What lives at a rank's peak, by category and place.
struct LivePlace {
  Category category = Category::kWeights;
  std::string place;
  int64_t bytes = 0;
  int64_t count = 0;
};

/// The card that every rank has.
struct RankCard {
  const Gpu* gpu = nullptr;  // none: nothing is replayed
  AllocatorOptions allocator;
  int64_t headroom_bytes = 0;
  int64_t workspace_bytes = 0;  // of a cuBLAS handle, as CUBLAS_WORKSPACE_CONFIG sets it; 0: the card's own
};

/// What the card of the rank must hold that reserves most.
struct CardMemory {
  int64_t rank = 0;
  Range reserved;
  Range device;
  Verdict fits;
};

/// All classes, and one rank looked at.
struct RankReport {
  std::vector<RankClass> classes;  // the fullest first
  RankClass shown;                 // the rank that was asked for, or the fullest
  std::vector<LivePlace> live;     // at its peak, the most first
  std::vector<PhaseReport> phases;
  std::optional<CardMemory> card;
};

/// Two steps of one rank.
using RankTracer = std::function<Program(int64_t rank)>;

/// One rank by itself.
Result<RankClass> report_rank(const RankPlace& place, const RankTracer& trace, const RankCard& card = {});

/// Traces one rank of each class, and `shown` (none: the fullest one), and replays each through the card's allocator.
Result<RankReport> report_ranks(const std::vector<RankPlace>& classes, const RankTracer& trace,
                                const std::optional<RankPlace>& shown, const RankCard& card = {});

}  // namespace peakmem
