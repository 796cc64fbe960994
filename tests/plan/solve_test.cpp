#include "plan/solve.h"

#include "../train/jobs.h"
#include "estimate/device.h"

namespace peakmem {
namespace {

using testing::random_job;

int64_t device_bytes(Job job, Unknown unknown, int64_t value, const Gpu& gpu) {
  (unknown == Unknown::kBatch ? job.recipe.batch : job.recipe.seq) = value;
  const Result<Levels> levels = peak_levels(job, &gpu);
  EXPECT_TRUE(levels);
  return device_range(reserved_range(levels->allocated), &gpu).likely;
}

TEST(Solve, FindsTheLargestThatFits) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Job job = random_job(seed);
    Gpu gpu = *find_gpu("t4");
    gpu.memory_bytes = 3'000'000'000;
    for (const Unknown unknown : {Unknown::kBatch, Unknown::kSeq}) {
      if (unknown == Unknown::kSeq && job.description.image > 0) continue;  // fixed by the image
      const Result<Solution> solution = solve(job, unknown, gpu);
      ASSERT_TRUE(solution);
      if (solution->value > 0) {
        EXPECT_EQ(solution->peak_bytes, device_bytes(job, unknown, solution->value, gpu)) << "seed " << seed;
        EXPECT_LE(solution->peak_bytes, gpu.memory_bytes);
      }
      if (!solution->limit.empty()) continue;
      EXPECT_EQ(solution->next_peak_bytes, device_bytes(job, unknown, solution->value + 1, gpu)) << "seed " << seed;
      EXPECT_GT(solution->next_peak_bytes, gpu.memory_bytes) << "seed " << seed;
    }
  }
}

TEST(Solve, SaysSoWhenNothingFits) {
  const Job job = random_job(5);
  Gpu gpu = *find_gpu("t4");
  gpu.memory_bytes = 1;
  const Result<Solution> solution = solve(job, Unknown::kBatch, gpu);
  ASSERT_TRUE(solution);
  EXPECT_EQ(solution->value, 0);
}

}  // namespace
}  // namespace peakmem
