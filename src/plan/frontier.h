// Two unknowns at once: the largest of one at values of the other.
#pragma once

#include <array>

#include "plan/sought.h"

namespace peakmem {

/// The largest `second` that fits with `first`, and the device bytes there.
struct FrontierPoint {
  int64_t first = 0;
  int64_t second = 0;
  int64_t peak_bytes = 0;
};

/// Points in rising order of the first; `request` is the one of the first point.
struct Frontier {
  std::array<std::string, 2> names;
  int64_t capacity_bytes = 0;
  Request request;
  std::vector<FrontierPoint> points;
};

/// The frontier at powers of two of the first, as long as one fits; of points with the same second the largest first.
Result<Frontier> frontier(const NamedConfig* model, const OptionValues& values,
                          const std::array<std::string, 2>& names);

}  // namespace peakmem
