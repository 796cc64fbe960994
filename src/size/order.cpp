#include "size/order.h"

#include <algorithm>
#include <numeric>

namespace peakmem {

std::vector<size_t> order_of(std::span<const int64_t> numbers) {
  std::vector<size_t> places(numbers.size());
  std::iota(places.begin(), places.end(), size_t{0});
  std::stable_sort(places.begin(), places.end(), [&](size_t a, size_t b) { return numbers[a] < numbers[b]; });
  return places;
}

}  // namespace peakmem
