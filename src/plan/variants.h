// A job at every value of one unknown.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/grid.h"

namespace peakmem {

/// What a search needs to know of an unknown: the job at a value, where there is one, and which values there are.
struct Variants {
  std::string name;  // of what is sought: its option, or its letter
  std::function<std::optional<Job>(int64_t value)> at;
  std::vector<const char*> symbols;  // its letters in a trace, so that one serves many values; none: each is traced
  Grid grid;
  int64_t multiple = 1;    // what GPUs like values to be multiples of
  int64_t limit = 0;       // the number, see Grid, of the largest value that may be tried
  std::string limit_text;  // what ends there
  bool smallest = false;   // more of it needs less memory, and the smallest that fits is sought
};

/// Those of a size of the recipe, or of a recording's letter.
Variants variants_of(const Job& job, Unknown unknown);

}  // namespace peakmem
