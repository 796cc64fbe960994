#include "device/cublas.h"

#include <algorithm>

namespace peakmem {
namespace {

bool has_product(const Program& program, const Phase& phase) {
  for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
    const Segment& segment = program.segments[static_cast<size_t>(s)];
    for (int32_t i = segment.first; i < segment.last; ++i) {
      const Event& event = program.events[static_cast<size_t>(i)];
      if (event.birth && is_matrix_product(program.storages[static_cast<size_t>(event.storage)].made_by)) return true;
    }
  }
  return false;
}

}  // namespace

bool is_matrix_product(std::string_view op) {
  constexpr std::array<std::string_view, 4> kProducts = {"mm", "addmm", "bmm", "baddbmm"};
  return std::ranges::find(kProducts, op) != kProducts.end();
}

int32_t cublas_handles(const Program& program) {
  int32_t handles = 0;
  for (const std::string_view thread : kCublasThreads)
    if (std::ranges::any_of(program.phases,
                            [&](const Phase& phase) { return phase.name == thread && has_product(program, phase); }))
      ++handles;
  return handles;
}

}  // namespace peakmem
