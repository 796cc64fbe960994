// What lives at the moments of a trace that may be the highest, as formulas of a few letters.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "estimate/estimate.h"

namespace peakmem {

/// The allocated bytes at every moment that may be the highest, as formulas of `pool` in the letters `swept`; the
/// others are numbers, as in the traced job. Moments that another one surely has at least as much in are left out.
/// Nothing where how often something is done depends on the letters.
std::optional<std::vector<Expr>> moment_formulas(const TracedJob& traced, const std::vector<std::string>& swept,
                                                 const Gpu* gpu, Pool& pool);

}  // namespace peakmem
