// Where a run that does not fit ends: the first allocation that the GPU cannot serve.
#pragma once

#include "device/replay.h"
#include "estimate/report.h"
#include "train/step.h"

namespace peakmem {

/// The job's trace with every layer for itself, so that an allocation has its layer; nothing where there are too many.
std::optional<Program> unrolled_trace(const Job& job);

/// A request of an unrolled program's replay as PyTorch would say it.
Allocation allocation_of(const Program& program, const AllocationRequest& request, const AllocatorOptions& options);

/// The first allocation of a job that does not fit on `gpu`: by the allocator's replay with the GPU's memory,
/// micro-batches after the third being as the third. Where nothing is to be replayed, there are more than
/// kMaxReplayedLayers (reserved.h), or the replay just passes, it is where the levels pass what `reserved` and
/// `allocated_bytes` leave them of the GPU, which is approximate.
Failure point_of_failure(const Job& job, const Gpu& gpu, const std::optional<AllocatorOptions>& allocator,
                         const Report& report);

}  // namespace peakmem
