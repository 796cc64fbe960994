// Whether what stands above the allocator decides that a run fits.
#pragma once

#include <optional>

#include "device/allocator.h"
#include "device/gpu.h"
#include "estimate/report.h"
#include "recipe/job.h"

namespace peakmem {

/// The bytes that the CUDA context may take at most for the run to fit, where it fits with the least that was seen and
/// not with the most; to 2 MiB. The allocator gives back what it caches before it fails, so each try is a replay.
std::optional<int64_t> deciding_context(const Job& job, const Gpu& gpu,
                                        const std::optional<AllocatorOptions>& allocator, const Report& report);

}  // namespace peakmem
