#include "estimate/failure.h"

#include "../train/jobs.h"
#include "estimate/device.h"
#include "estimate/estimate.h"
#include "estimate/reserved.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

using testing::random_job;

/// A GPU with so much for segments.
Gpu gpu_with(int64_t segments) {
  Gpu gpu = *find_gpu("a100-80gb");
  gpu.memory_bytes = segments + (gpu.context_low + gpu.context_high) / 2;
  return gpu;
}

// With half of what is reserved a run ends at an allocation that does not fit beside the segments, and it has a layer.
TEST(Failure, IsAnAllocationThatTheDeviceCannotServe) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const Job job = random_job(seed);
    const Replayed replayed = replay_job(job, nullptr, {});
    const Gpu gpu = gpu_with(replayed.peak.reserved / 2);
    const Result<Report> report = estimate(job, &gpu);
    ASSERT_TRUE(report);
    const Failure failure = point_of_failure(job, gpu, AllocatorOptions{}, *report);
    EXPECT_EQ(failure.approximate, "") << "seed " << seed;
    EXPECT_LT(failure.free_bytes, failure.allocation.tried_bytes) << "seed " << seed;
    EXPECT_LE(failure.allocation.reserved_bytes, replayed.peak.reserved / 2) << "seed " << seed;
    EXPECT_EQ(failure.allocation.module.find('*'), std::string::npos) << failure.allocation.module;
    EXPECT_NE(failure.allocation.op, "");
  }
}

// The place by levels is that of the replay where nothing is reserved beside the blocks.
TEST(Failure, ByLevelsLiesInTheFirstStepThatPassesTheGpu) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const Job job = random_job(seed);
    const Result<Report> bounds = estimate(job, nullptr, std::nullopt);
    ASSERT_TRUE(bounds);
    const Gpu gpu = gpu_with(bounds->reserved.likely / 2);
    const Failure failure = point_of_failure(job, gpu, std::nullopt, *bounds);
    EXPECT_NE(failure.approximate, "");
    EXPECT_LE(failure.allocation.allocated_bytes, bounds->allocated_bytes / 2 + 512) << "seed " << seed;
    EXPECT_GT(failure.allocation.allocated_bytes + in_blocks(failure.allocation.bytes),
              bounds->allocated_bytes / 2 - 512)
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace peakmem
