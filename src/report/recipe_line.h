// How a job is trained, in a line.
#pragma once

#include <string>

#include "recipe/job.h"

namespace peakmem {

/// `batch 8 × seq 1024 · fp32 · sdpa · adamw (foreach)`.
std::string recipe_line(const Job& job);

}  // namespace peakmem
