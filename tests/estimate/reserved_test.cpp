#include "estimate/reserved.h"

#include "../train/jobs.h"
#include "estimate/estimate.h"

namespace peakmem {
namespace {

using testing::random_job;

// What the replay holds in blocks is what the estimate says is allocated; the allocator's own sum is larger by the
// rests that it does not split off.
TEST(Reserved, ReplaysWhatTheEstimateAllocates) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Job job = random_job(seed);
    const Replayed replayed = replay_job(job, nullptr, {});
    const Result<Levels> levels = peak_levels(job, nullptr);
    ASSERT_TRUE(levels);
    EXPECT_EQ(replayed.peak.rounded, levels->allocated) << "seed " << seed;
    EXPECT_GE(replayed.steady.allocated, replayed.steady.rounded);
    EXPECT_GE(replayed.peak.reserved, replayed.peak.allocated);
    EXPECT_LE(replayed.steps, 5);
  }
}

TEST(Reserved, IsNeverBelowWhatIsAllocated) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    const Result<Report> report = estimate(random_job(seed), nullptr);
    ASSERT_TRUE(report);
    EXPECT_LE(report->reserved.low, report->reserved.likely);
    EXPECT_LE(report->reserved.likely, report->reserved.high);
    EXPECT_NE(report->reserved.why.find("replayed"), std::string::npos);
  }
}

TEST(Reserved, TheRangeIsTheReplayWhereAllLayersAreReplayed) {
  for (const char* text : {"expandable_segments:True", "roundup_power2_divisions:2", "max_split_size_mb:32"}) {
    const Job job = random_job(4);
    const Replayed replayed = replay_job(job, nullptr, *parse_alloc_conf(text, "--alloc-conf"));
    EXPECT_EQ(reserved_range(peak_levels(job, nullptr)->allocated, replayed).likely, replayed.peak.reserved) << text;
  }
}

TEST(Reserved, DeepModelsGrowInProportion) {
  Job job = random_job(1);
  job.description.layers = 100'000;
  job.description.runs = {{100'000, false}};
  const Result<Report> report = estimate(job, nullptr);
  ASSERT_TRUE(report);
  EXPECT_GE(report->reserved.likely, report->allocated_bytes);
  EXPECT_LE(report->reserved.likely, 2 * report->allocated_bytes);
}

}  // namespace
}  // namespace peakmem
