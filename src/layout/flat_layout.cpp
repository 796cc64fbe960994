#include "layout/flat_layout.h"

#include <algorithm>

namespace peakmem {
namespace {

/// What is missing to the next multiple.
int64_t missing(int64_t elements, int64_t multiple) { return (multiple - elements % multiple) % multiple; }

void pad(FlatLayout& layout, int64_t multiple) {
  const int64_t elements = missing(layout.elements, multiple);
  if (elements == 0) return;
  layout.paddings.push_back(elements);
  layout.elements += elements;
}

}  // namespace

FlatLayout lay_flat(std::span<const int64_t> sizes, int64_t aligned, int64_t ranks, int64_t rank) {
  FlatLayout layout;
  std::vector<int64_t> starts;
  for (const int64_t size : sizes) {
    if (aligned > 0) pad(layout, aligned);
    starts.push_back(layout.elements);
    layout.elements += size;
  }
  if (aligned > 0) pad(layout, ranks);
  layout.shard = (layout.elements + ranks - 1) / ranks;
  const int64_t first = std::min(rank * layout.shard, layout.elements);
  const int64_t last = std::min(first + layout.shard, layout.elements);
  layout.own = last - first;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int64_t begin = std::max(starts[i], first);
    const int64_t end = std::min(starts[i] + sizes[i], last);
    if (begin < end) layout.pieces.push_back({i, end - begin});
  }
  return layout;
}

}  // namespace peakmem
