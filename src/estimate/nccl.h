// NCCL's own buffers on a rank's card, which no counter of PyTorch's shows.
#pragma once

#include <cstdint>
#include <optional>

#include "estimate/report.h"
#include "recipe/recipe.h"

namespace peakmem {

/// What the communicators of a rank take: an estimate, for NCCL chooses channels by what links it finds.
struct NcclBuffers {
  int64_t communicators = 0;
  Range bytes;
};

/// Nothing where the job has one rank.
std::optional<NcclBuffers> nccl_buffers(const Recipe& recipe);
/// What is likely of it, or 0.
int64_t nccl_bytes(const Recipe& recipe);

}  // namespace peakmem
