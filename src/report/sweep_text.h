// Memory against one size, as a table of bars and as the points of a plot.
#pragma once

#include <string>

#include "io/sweep.h"
#include "report/page.h"

namespace peakmem {

std::string sweep_text(const Sweep& sweep, const Style& style);
/// {"schema", "model", "sweep": {"over", "textbook", "points"}}: `textbook` are the formulas in circulation, and every
/// point has their bytes in the same order.
std::string sweep_json(const Sweep& sweep);

}  // namespace peakmem
