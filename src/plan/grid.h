// The values that a search may try.
#pragma once

#include <cstdint>

#include "plan/unknown.h"

namespace peakmem {

inline constexpr int64_t kSearchLimit = int64_t{1} << 40;

/// Values first, first + step, and so on up to `count` of them, which a search numbers from 1.
struct Grid {
  int64_t first = 1;
  int64_t step = 1;
  int64_t count = kSearchLimit;

  /// The value of that number; 0 has 0.
  int64_t value(int64_t number) const { return number == 0 ? 0 : first + (number - 1) * step; }
  bool is_every_one() const { return first == 1 && step == 1; }
};

/// Of a model every value from 1 on. Of a recording those around its own for which its guards hold: from the job's
/// value up and down in steps of what guards divide the letter by, as long as they hold.
Grid grid_of(const Job& job, Unknown unknown);

}  // namespace peakmem
