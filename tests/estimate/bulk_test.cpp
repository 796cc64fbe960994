#include "estimate/bulk.h"

#include "../train/jobs.h"

namespace peakmem {
namespace {

using testing::Dice;
using testing::random_job;

const std::vector<LetterRange> kRanges = {{"B", 2, 150}, {"T", 2, 1500}};  // rows are beyond them too

/// Sizes of jobs that have the form of `job`, with its own among them.
struct Rows {
  std::vector<int64_t> batch;
  std::vector<int64_t> seq;
};

Rows rows_of(const Job& job, Dice& dice, size_t count) {
  const JobForm form = form_of(job);
  Rows rows = {{job.recipe.batch}, {job.recipe.seq}};
  for (size_t tries = 0; rows.batch.size() < count && tries < 20 * count; ++tries) {
    Job other = job;
    other.recipe.batch = dice.from(1, 200);
    other.recipe.seq = dice.from(1, 2) == 1 ? 16 * dice.from(1, 128) : dice.from(1, 2000);
    if (job.description.image > 0) other.recipe.seq = job.recipe.seq;
    JobForm of_other = form_of(other);
    of_other.structure.lora = form.structure.lora;  // of a copy, which is alike
    of_other.structure.freeze = form.structure.freeze;
    of_other.evaluation.lora = form.evaluation.lora;
    of_other.evaluation.freeze = form.evaluation.freeze;
    if (of_other != form) continue;
    rows.batch.push_back(other.recipe.batch);
    rows.seq.push_back(other.recipe.seq);
  }
  return rows;
}

int64_t alone(Job job, int64_t batch, int64_t seq) {
  job.recipe.batch = batch;
  job.recipe.seq = seq;
  const Result<Levels> levels = peak_levels(job, nullptr);
  return levels ? levels->allocated : Expr::kNoNumber;
}

TEST(BulkPeak, IsTheSingleEvaluationToTheByte) {
  size_t compared = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice(seed);
    const Job job = random_job(seed);
    const TracedJob traced(job);
    const std::optional<BulkPeak> bulk = BulkPeak::of(traced, kRanges, nullptr);
    if (!bulk) continue;
    const Rows rows = rows_of(job, dice, 20);
    std::vector<int64_t> peaks(rows.batch.size());
    bulk->evaluate(std::vector<std::span<const int64_t>>{rows.batch, rows.seq}, peaks);
    for (size_t i = 0; i < peaks.size(); ++i, ++compared)
      EXPECT_EQ(peaks[i], alone(job, rows.batch[i], rows.seq[i])) << rows.batch[i] << " x " << rows.seq[i];
  }
  EXPECT_GT(compared, 400U);
}

TEST(BulkPeak, NoticesWhatIsTooLarge) {
  Job job = random_job(3);
  ASSERT_FALSE(takes_any_size(job.description));  // whose batch is no letter
  job.recipe.batch = 4;                           // one alone is no letter
  const TracedJob traced(job);
  const std::optional<BulkPeak> bulk = BulkPeak::of(traced, kRanges, nullptr);
  ASSERT_TRUE(bulk);
  const std::vector<int64_t> batch = {job.recipe.batch, int64_t{1} << 61, job.recipe.batch};
  const std::vector<int64_t> seq = {job.recipe.seq, job.recipe.seq, job.recipe.seq};
  std::vector<int64_t> peaks(batch.size());
  bulk->evaluate(std::vector<std::span<const int64_t>>{batch, seq}, peaks);
  EXPECT_EQ(peaks[0], alone(job, batch[0], seq[0]));
  EXPECT_EQ(peaks[1], Expr::kNoNumber);
  EXPECT_EQ(peaks[2], peaks[0]);
}

}  // namespace
}  // namespace peakmem
