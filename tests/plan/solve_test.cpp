#include "plan/solve.h"

#include "../train/jobs.h"

namespace peakmem {
namespace {

using testing::random_job;
using Allocator = std::optional<AllocatorOptions>;

Gpu small_gpu(int64_t memory_bytes) {
  Gpu gpu = *find_gpu("t4");
  gpu.memory_bytes = memory_bytes;
  return gpu;
}

Report report_at(Job job, Unknown unknown, int64_t value, const Gpu& gpu, const Allocator& allocator) {
  (unknown == Unknown::kBatch ? job.recipe.batch : job.recipe.seq) = value;
  const Result<Report> report = estimate(job, &gpu, allocator);
  EXPECT_TRUE(report);
  return report ? *report : Report{};
}

/// Holds a solution to what estimate() says of it and of the next value.
void expect_verdicts(const Job& job, Unknown unknown, const Gpu& gpu, const Allocator& allocator) {
  const Result<Solution> solution = solve(job, unknown, gpu, allocator);
  ASSERT_TRUE(solution);
  if (solution->value > 0) {
    const Report fits = report_at(job, unknown, solution->value, gpu, allocator);
    EXPECT_TRUE(fits.fits->fits);
    EXPECT_EQ(fits.device.likely, solution->peak_bytes);
  }
  if (!solution->limit.empty()) return;
  const Report next = report_at(job, unknown, solution->value + 1, gpu, allocator);
  EXPECT_FALSE(next.fits->fits);
  EXPECT_EQ(next.device.likely, solution->next_peak_bytes);
}

TEST(Solve, EstimateSaysThatTheLargestFitsAndTheNextDoesNot) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Job job = random_job(seed);
    for (const Unknown unknown : {Unknown::kBatch, Unknown::kSeq}) {
      if (unknown == Unknown::kSeq && job.description.image > 0) continue;  // fixed by the image
      SCOPED_TRACE("seed " + std::to_string(seed) + (unknown == Unknown::kSeq ? ", seq" : ", batch"));
      expect_verdicts(job, unknown, small_gpu(3'000'000'000), AllocatorOptions{});
      expect_verdicts(job, unknown, small_gpu(1'000'000'000), std::nullopt);
    }
  }
}

TEST(Solve, WhereLittleMoreFitsThanTheSmallest) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Job job = random_job(seed);
    const Report smallest = report_at(job, Unknown::kBatch, 1, small_gpu(1 << 30), AllocatorOptions{});
    for (const int64_t percent : {100, 103, 120})
      expect_verdicts(job, Unknown::kBatch, small_gpu(smallest.device.likely / 100 * percent), AllocatorOptions{});
  }
}

TEST(Solve, AsTheAllocatorIsSet) {
  AllocatorOptions expandable;
  expandable.expandable_segments = true;
  for (uint32_t seed = 0; seed < 20; ++seed)
    expect_verdicts(random_job(seed), Unknown::kBatch, small_gpu(1'000'000'000), expandable);
}

TEST(Solve, SaysSoWhenNothingFits) {
  const Result<Solution> solution = solve(random_job(5), Unknown::kBatch, small_gpu(1));
  ASSERT_TRUE(solution);
  EXPECT_EQ(solution->value, 0);
}

}  // namespace
}  // namespace peakmem
