#include "estimate/imbalance.h"

#include <algorithm>

#include "estimate/estimate.h"

namespace peakmem {

int64_t worst_place(Job job) {
  const int64_t last = job.description.experts - 1;
  const int64_t before = std::max<int64_t>(last - 1, 0);
  const auto bytes = [&](int64_t place) {
    job.recipe.imbalance.busiest = place;
    const Result<Levels> levels = peak_levels(job, nullptr);
    return levels ? levels->tensors : 0;
  };
  return bytes(before) > bytes(last) ? before : last;
}

}  // namespace peakmem
