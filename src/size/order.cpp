#include "size/order.h"

#include <algorithm>
#include <numeric>

namespace peakmem {

std::vector<size_t> order_of(size_t count, const std::function<bool(size_t, size_t)>& before) {
  std::vector<size_t> places(count);
  std::iota(places.begin(), places.end(), size_t{0});
  // With ties broken by place a heap keeps the order of equals, and is the smallest of sorts.
  const auto first = [&](size_t a, size_t b) { return before(a, b) || (!before(b, a) && a < b); };
  std::make_heap(places.begin(), places.end(), first);
  std::sort_heap(places.begin(), places.end(), first);
  return places;
}

}  // namespace peakmem
