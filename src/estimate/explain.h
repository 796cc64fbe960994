// Which allocation of a trace a message about memory speaks of, and what would have let it pass.
#pragma once

#include "device/allocator.h"
#include "estimate/report.h"
#include "size/result.h"
#include "train/step.h"

namespace peakmem {

/// What a message says, as the ranges its rounding allows.
struct Refusal {
  int64_t tried_low = 0, tried_high = 0;
  std::optional<int64_t> allocated_bytes;
};

/// Allocations of the trace that are alike: the first of them, in the order of events, and how many there are.
struct Match {
  Allocation allocation;
  int64_t count = 1;
  std::optional<int64_t> difference_bytes;  // ours allocated at that moment less the message's
};

/// A change of the recipe or of the allocator, and whether the run would fit then.
struct Remedy {
  std::string change;
  int64_t device_bytes = 0;
  std::string verdict;
};

/// The answer.
struct Explanation {
  std::vector<Match> matches;   // of the printed size, the nearest in allocated bytes first
  std::vector<Match> nearest;   // where none matches: of the nearest sizes
  std::optional<Verdict> fits;  // the run as it is, where a GPU is known
  std::vector<Remedy> remedies;
};

/// `gpu` may be null: then nothing is said about what would fit.
Result<Explanation> explain(const Job& job, const Refusal& refusal, const Gpu* gpu, const AllocatorOptions& allocator);

}  // namespace peakmem
