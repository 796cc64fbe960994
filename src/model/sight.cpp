#include "model/sight.h"

namespace peakmem {

std::array<int64_t, 2> grid_of(int64_t tokens) {
  int64_t rows = 1;
  for (int64_t i = 1; i * i <= tokens; ++i)
    if (tokens % i == 0) rows = i;
  return {rows, tokens / rows};
}

}  // namespace peakmem
