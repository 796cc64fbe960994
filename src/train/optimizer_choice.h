// Which optimizer of a recipe trains which parameter, and what it keeps of each.
#pragma once

#include <vector>

#include "recipe/job.h"
#include "recipe/optimizer_step.h"

namespace peakmem {

/// One optimizer, or two of which the second trains what the first does not.
std::vector<OptimizerRun> optimizers_of(Tape& tape, const Job& job, const Structure& structure);

}  // namespace peakmem
