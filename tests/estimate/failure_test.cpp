#include "estimate/failure.h"

#include "../train/jobs.h"
#include "device/cublas.h"
#include "estimate/device.h"
#include "estimate/estimate.h"
#include "estimate/reserved.h"
#include "trace/evaluate.h"
#include "train/step.h"

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
  for (uint32_t seed = 0; seed < 20; ++seed) {
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

// Without a replay the place is where the levels pass the GPU's: here halfway between cuBLAS's workspaces and the peak.
TEST(Failure, ByLevelsIsWhereTheyPassTheGpu) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const Job job = random_job(seed);
    const Result<Report> bounds = estimate(job, nullptr, std::nullopt);
    ASSERT_TRUE(bounds);
    const int64_t workspaces = cublas_handles(trace_step(job, number_dims(job))) * cublas_workspace_bytes(nullptr);
    const int64_t limit = workspaces + (bounds->allocated_bytes - workspaces) / 2;
    const double share = static_cast<double>(limit) / static_cast<double>(bounds->allocated_bytes);
    const Gpu gpu = gpu_with(static_cast<int64_t>(static_cast<double>(bounds->reserved.likely) * share));
    const Failure failure = point_of_failure(job, gpu, std::nullopt, *bounds);
    EXPECT_NE(failure.approximate, "");
    EXPECT_LE(failure.allocation.allocated_bytes, limit + 512) << "seed " << seed;
    EXPECT_GT(failure.allocation.allocated_bytes + in_blocks(failure.allocation.bytes), limit - 512) << "seed " << seed;
  }
}

}  // namespace
}  // namespace peakmem
