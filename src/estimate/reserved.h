// What the caching allocator reserves for a job.
#pragma once

#include "device/gpu.h"
#include "device/replay.h"
#include "estimate/report.h"
#include "train/step.h"

namespace peakmem {

/// Layers of all stacks that are traced and replayed one by one, deeper than any model that is published: 480 layers of
/// 8192 take some 50 ms. What is deeper still reserves in proportion, see reserved_range.
inline constexpr int64_t kMaxReplayedLayers = 512;

/// What of a job is replayed, by the next function's rules.
Job replayed_part(const Job& job);

/// The job's steps, every layer unrolled, through the caching allocator: of a deeper model its first
/// kMaxReplayedLayers layers, and of many micro-batches three, since from the second on every one is the same.
Replayed replay_job(const Job& job, const Gpu* gpu, const AllocatorOptions& options);

/// What max_memory_allocated counts beside `block_bytes`, the job's storages in blocks of 512: rests of large blocks
/// that are not split off. Where only part of the layers was replayed, in proportion.
int64_t left_whole(int64_t block_bytes, const Replayed& replayed);

/// The range of max_memory_reserved around a replay. `block_bytes`: of the whole job, as estimated; where only part
/// of its layers was replayed, what the allocator reserves beside the blocks is taken to grow as they do, for
/// consecutive layers ask for the same blocks in the same order and fill segments in a cycle.
Range reserved_range(int64_t block_bytes, const Replayed& replayed);

}  // namespace peakmem
