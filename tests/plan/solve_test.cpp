#include "plan/solve.h"

#include "../train/jobs.h"
#include "request/request.h"

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
  set_size(job.recipe, unknown, value);
  const Result<Report> report = estimate(job, &gpu, allocator);
  EXPECT_TRUE(report);
  return report ? *report : Report{};
}

/// Holds what a solution says of the values below it to estimate(): all surely fit up to `sure`, of which the end and
/// some before it are asked, every multiple does up to `aligned`, and in the gap none does.
void expect_standing(const Job& job, Unknown unknown, const Solution& solution, const Gpu& gpu,
                     const Allocator& allocator) {
  const auto at = [&](int64_t value) { return report_at(job, unknown, value, gpu, allocator); };
  EXPECT_LE(solution.sure, solution.value);
  EXPECT_LE(solution.aligned, solution.value);
  for (const int64_t value : {solution.sure, solution.sure - 1, solution.sure - 3, solution.sure / 2}) {
    if (value > 0) {
      EXPECT_EQ(at(value).fits->verdict, "fits") << value;
    }
  }
  const int64_t multiple = solution.multiple;
  EXPECT_EQ(solution.aligned % multiple, 0);
  for (int64_t value = solution.aligned, more = 8; value > 0 && more > 0; value -= multiple, --more)
    EXPECT_TRUE(at(value).fits->fits) << value;
  if (solution.gap.first == 0) return;
  EXPECT_LT(solution.gap.last, solution.value);
  for (const int64_t value : {solution.gap.first, solution.gap.last}) EXPECT_FALSE(at(value).fits->fits) << value;
  for (const int64_t value : {solution.gap.first - 1, solution.gap.last + 1}) {
    if (value > 0) {
      EXPECT_TRUE(at(value).fits->fits) << value;
    }
  }
}

/// Holds a solution to what estimate() says of it and of the next value.
void expect_verdicts(const Job& job, Unknown unknown, const Gpu& gpu, const Allocator& allocator) {
  const Result<Solution> solution = solve(job, unknown, gpu, allocator);
  ASSERT_TRUE(solution);
  if (solution->value > 0) {
    const Report fits = report_at(job, unknown, solution->value, gpu, allocator);
    EXPECT_TRUE(fits.fits->fits);
    EXPECT_EQ(fits.device.likely, solution->peak_bytes);
    expect_standing(job, unknown, *solution, gpu, allocator);
  }
  if (!solution->limit.empty()) return;
  const Report next = report_at(job, unknown, solution->value + 1, gpu, allocator);
  EXPECT_FALSE(next.fits->fits);
  EXPECT_EQ(next.device.likely, solution->next_peak_bytes);
}

/// Whether thousands of sequences are traced in no time: images of any size are seen one by one.
bool takes_large_batches(const Job& job) { return !takes_any_size(job.description); }

TEST(Solve, EstimateSaysThatTheLargestFitsAndTheNextDoesNot) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    const Job job = random_job(seed);
    for (const Unknown unknown : {Unknown::kBatch, Unknown::kSeq, Unknown::kTargetSeq, Unknown::kBothLengths}) {
      if (unknown != Unknown::kBatch && job.description.image > 0) continue;  // fixed by the image
      if (unknown > Unknown::kSeq && job.recipe.target_seq == 0) continue;    // no encoder-decoder
      if (unknown == Unknown::kBatch && !takes_large_batches(job)) continue;
      SCOPED_TRACE("seed " + std::to_string(seed) + ", " + std::string(name_of(unknown)));
      if (seed % 8 == 0) expect_verdicts(job, unknown, small_gpu(3'000'000'000), AllocatorOptions{});  // replays
      expect_verdicts(job, unknown, small_gpu(1'000'000'000), std::nullopt);
    }
  }
}

TEST(Solve, WhereLittleMoreFitsThanTheSmallest) {
  for (uint32_t seed = 0; seed < 6; ++seed) {
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
  for (uint32_t seed = 0; seed < 3; ++seed)
    if (const Job job = random_job(seed); takes_large_batches(job))
      expect_verdicts(job, Unknown::kBatch, small_gpu(1'000'000'000), expandable);
}

TEST(Solve, FindsWhatFitsPastAGap) {
  // What is reserved falls again where blocks change their segments: 1750 to some more do not fit on a T4.
  const NamedConfig model = *shipped_config("llama-3.2-1b");
  const Result<Request> request = make_request(
      &model, {{"precision", "bf16"}, {"batch", "1"}, {"keep-outputs", "no"}, {"for", "seq"}}, Command::kSolve);
  ASSERT_TRUE(request);
  const Result<Solution> solution = solve(request->job, Unknown::kSeq, *find_gpu("t4"));
  ASSERT_TRUE(solution);
  EXPECT_GE(solution->value, 2200);
  EXPECT_GT(solution->gap.first, 1700);
  EXPECT_LT(solution->gap.first, solution->value);
}

TEST(Solve, LeavesHeadroom) {
  const Job job = random_job(7);
  const Gpu gpu = small_gpu(3'000'000'000);
  const Result<Solution> all = solve(job, Unknown::kBatch, gpu);
  const Result<Solution> less = solve(job, Unknown::kBatch, gpu, AllocatorOptions{}, 1'000'000'000);
  ASSERT_TRUE(all && less);
  EXPECT_LT(less->value, all->value);
  EXPECT_EQ(less->capacity_bytes, 2'000'000'000);
  EXPECT_LE(less->peak_bytes, 2'000'000'000);
}

TEST(Solve, SaysSoWhenNothingFits) {
  const Result<Solution> solution = solve(random_job(5), Unknown::kBatch, small_gpu(1));
  ASSERT_TRUE(solution);
  EXPECT_EQ(solution->value, 0);
}

}  // namespace
}  // namespace peakmem
