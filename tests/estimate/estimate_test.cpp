#include "estimate/estimate.h"

#include "../train/jobs.h"

namespace peakmem {
namespace {

using testing::random_job;

TEST(Estimate, RowsSumToWhatIsAllocated) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    const Result<Report> report = estimate(random_job(seed), nullptr);
    ASSERT_TRUE(report);
    int64_t sum = 0;
    for (const LedgerRow& row : report->ledger) {
      sum += row.bytes;
      EXPECT_GE(row.count, 0) << row.name << " seed " << seed;
      EXPECT_GE(row.bytes, 0) << row.name << " seed " << seed;
      EXPECT_FALSE(row.why.empty()) << row.name;
    }
    EXPECT_EQ(sum, report->allocated_bytes) << "seed " << seed;
  }
}

TEST(Estimate, RowsFormulasGiveTheirBytes) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const Result<Report> report = estimate(random_job(seed), nullptr);
    ASSERT_TRUE(report);
    const std::vector<int64_t> values = report->pool->evaluate(report->symbol_values);
    for (const LedgerRow& row : report->ledger)
      EXPECT_EQ(value_of(row.formula, values), row.bytes) << row.name << " seed " << seed;
  }
}

TEST(Estimate, TheQuickAnswerIsTheSame) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const Job job = random_job(seed);
    const Result<Report> report = estimate(job, nullptr);
    const Result<Levels> levels = peak_levels(job, nullptr);
    ASSERT_TRUE(report && levels);
    EXPECT_EQ(levels->tensors, report->tensor_bytes);
    EXPECT_EQ(levels->allocated, report->block_bytes);
    EXPECT_GE(report->allocated_bytes, report->block_bytes);
    EXPECT_EQ(levels->first_step, report->first_step_bytes);
  }
}

TEST(Estimate, RangesAreOrdered) {
  const Result<Report> report = estimate(random_job(3), find_gpu("a100-80gb"));
  ASSERT_TRUE(report);
  for (const Range& range : {report->reserved, report->device}) {
    EXPECT_LE(range.low, range.likely);
    EXPECT_LE(range.likely, range.high);
    EXPECT_FALSE(range.why.empty());
  }
  EXPECT_GE(report->reserved.low, report->allocated_bytes);
  ASSERT_TRUE(report->fits);
  EXPECT_TRUE(report->fits->fits);
}

TEST(Estimate, SizesBeyond63BitsAreAnError) {
  Job job = random_job(3);
  job.recipe.batch = int64_t{1} << 40;
  job.recipe.seq = int64_t{1} << 40;
  const Result<Report> report = estimate(job, nullptr);
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().problem.find("2^63"), std::string::npos);
}

TEST(Estimate, KnobsSaveWhatTheySay) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const Job job = random_job(seed);
    const Result<Levels> levels = peak_levels(job, nullptr);
    ASSERT_TRUE(levels);
    for (const Knob& knob : knobs(job, nullptr, levels->allocated)) EXPECT_GT(knob.saves_bytes, 0) << knob.change;
  }
}

}  // namespace
}  // namespace peakmem
