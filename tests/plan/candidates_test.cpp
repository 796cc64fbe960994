#include "plan/candidates.h"

#include "../train/jobs.h"

namespace peakmem {
namespace {

using testing::Dice;
using testing::random_job;

/// A value of the unknown, the small ones and those that kernels round up to among them.
int64_t random_value(Dice& dice) { return dice.from(1, 3) == 1 ? 16 * dice.from(1, 20) : dice.from(1, 40); }

TEST(JobForm, JobsOfOneFormHaveOneTrace) {
  int compared = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Dice dice(seed);
    Job job = random_job(seed);
    if (job.description.image > 0) continue;  // its length is no symbol
    const bool has_targets = job.recipe.target_seq > 0;
    const auto unknown = static_cast<Unknown>(dice.from(0, has_targets ? 3 : 1));
    set_size(job.recipe, unknown, random_value(dice));
    const TracedJob traced(job);
    const JobForm form = form_of(job);
    const int64_t other = random_value(dice);
    set_size(job.recipe, unknown, other);
    if (form != form_of(job)) continue;
    SCOPED_TRACE("seed " + std::to_string(seed) + ", " + std::string(name_of(unknown)) + " " + std::to_string(other));
    const Result<Levels> evaluated = traced.at(symbols_of(unknown), other, nullptr);
    const Result<Levels> afresh = peak_levels(job, nullptr);
    ASSERT_TRUE(evaluated && afresh);
    EXPECT_EQ(evaluated->tensors, afresh->tensors);
    EXPECT_EQ(evaluated->allocated, afresh->allocated);
    ++compared;
  }
  EXPECT_GT(compared, 20);
}

}  // namespace
}  // namespace peakmem
