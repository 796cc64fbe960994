// The values that a search may try.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/unknown.h"

namespace peakmem {

inline constexpr int64_t kSearchLimit = int64_t{1} << 40;

/// Values in steps, which a search numbers so that they are about their number times the step: the first one's number
/// is `first / step` rounded up, and smaller numbers stand for the first value too. 0 is none. Or values in a list.
struct Grid {
  int64_t first = 1;
  int64_t step = 1;
  int64_t count = kSearchLimit;
  std::vector<int64_t> values;  // rising; where there are some, they are all

  int64_t first_number() const { return values.empty() ? (first + step - 1) / step : 1; }
  int64_t last_number() const {
    return values.empty() ? first_number() + count - 1 : static_cast<int64_t>(values.size());
  }
  int64_t value(int64_t number) const {
    if (number == 0) return 0;
    if (!values.empty()) return values[static_cast<size_t>(number) - 1];
    return number <= first_number() ? first : first + (number - first_number()) * step;
  }
  bool is_every_one() const { return first == 1 && step == 1 && values.empty(); }
};

/// Of a model every value from 1 on. Of a recording those around its own for which its guards hold: from the job's
/// value up and down in steps of what guards divide the letter by, as long as they hold.
Grid grid_of(const Job& job, Unknown unknown);

}  // namespace peakmem
