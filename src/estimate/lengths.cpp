#include "estimate/lengths.h"

#include <algorithm>

#include "estimate/device.h"
#include "estimate/estimate.h"
#include "estimate/nccl.h"
#include "estimate/reserved.h"

namespace peakmem {
namespace {

std::optional<Error> fill(const Job& job, const Gpu* gpu, const std::optional<AllocatorOptions>& allocator,
                          int64_t headroom_bytes, LengthRow& row) {
  const Result<Levels> levels = peak_levels(job, gpu);
  if (!levels) return levels.error();
  const Range reserved = allocator ? reserved_range(levels->allocated, replay_job(job, gpu, *allocator))
                                   : reserved_range(levels->allocated);
  const Range device = device_range(reserved, gpu, levels->managed, nccl_bytes(job.recipe));
  row.tensor_bytes = std::max(levels->first_step, levels->tensors);
  row.device_bytes = device.likely;
  if (gpu != nullptr) row.verdict = verdict(device, *gpu, headroom_bytes).verdict;
  return std::nullopt;
}

}  // namespace

Result<std::vector<LengthRow>> at_lengths(const Job& job, std::vector<LengthRow> rows, const Gpu* gpu,
                                          const std::optional<AllocatorOptions>& allocator, int64_t headroom_bytes) {
  for (LengthRow& row : rows) {
    Job at = job;
    at.recipe.seq = row.seq;
    if (auto wrong = fill(at, gpu, allocator, headroom_bytes, row)) return *wrong;
  }
  return rows;
}

}  // namespace peakmem
