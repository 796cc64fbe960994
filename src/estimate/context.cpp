#include "estimate/context.h"

#include "estimate/device.h"
#include "estimate/reserved.h"

namespace peakmem {
namespace {

constexpr int64_t kStep = int64_t{2} << 20;

bool fits_with(int64_t context_bytes, const Job& job, Gpu gpu, const std::optional<AllocatorOptions>& allocator,
               const Report& report) {
  gpu.context_low = gpu.context_high = gpu.context_most = context_bytes;
  const Range reserved = allocator ? reserved_range(report.block_bytes, replay_job(job, &gpu, *allocator))
                                   : reserved_range(report.block_bytes);
  return device_range(reserved, &gpu).likely <= report.fits->capacity_bytes;
}

}  // namespace

std::optional<int64_t> deciding_context(const Job& job, const Gpu& gpu,
                                        const std::optional<AllocatorOptions>& allocator, const Report& report) {
  const int64_t room = report.fits->capacity_bytes - gpu.context_most;
  const bool never_full = report.reserved.likely <= room && report.reserved.likely <= segment_capacity(gpu);
  const bool never_fits = report.reserved.low + gpu.context_low > report.fits->capacity_bytes;
  if (never_full || never_fits || gpu.context_low == gpu.context_most) return std::nullopt;
  const auto fits = [&](int64_t context) { return fits_with(context, job, gpu, allocator, report); };
  if (!fits(gpu.context_low) || fits(gpu.context_most)) return std::nullopt;
  int64_t most = gpu.context_low;
  for (int64_t beyond = gpu.context_most; beyond - most > kStep;) {
    const int64_t middle = most + (beyond - most) / 2 / kStep * kStep;
    const int64_t next = middle > most ? middle : most + kStep;
    (fits(next) ? most : beyond) = next;
  }
  return most;
}

}  // namespace peakmem
