#include "estimate/imbalance.h"

#include <gtest/gtest.h>

#include "estimate/estimate.h"
#include "request/request.h"

namespace peakmem {
namespace {

/// A Mixtral's job with one expert that gets over/100 times its share.
Job job_with(int64_t over, int64_t experts, int64_t batch, Checkpointing checkpointing) {
  Job job = make_request(&*shipped_config("mixtral-8x7b"), {{"experts", "loop"}, {"precision", "bf16"}, {"seq", "96"}},
                         Command::kEstimate)
                ->job;
  job.description.experts = experts;
  job.recipe.batch = batch;
  job.recipe.checkpointing = checkpointing;
  job.recipe.imbalance = {over, 100, 0};
  job.recipe.imbalance.busiest = worst_place(job);
  return job;
}

int64_t peak(const Job& job) { return peak_levels(job, nullptr)->tensors; }

TEST(Imbalance, OneIsBalanced) {
  Job job = job_with(100, 8, 4, Checkpointing::kNone);
  const int64_t one = peak(job);
  job.recipe.imbalance = {};
  EXPECT_EQ(one, peak(job));
}

TEST(Imbalance, MoreNeverNeedsLess) {
  for (const Checkpointing checkpointing : {Checkpointing::kNone, Checkpointing::kFull, Checkpointing::kFullReentrant})
    for (const int64_t experts : {2, 5, 8})
      for (const int64_t batch : {1, 7, 900}) {
        int64_t before = 0;
        for (const int64_t over : {100, 101, 130, 250, 400, 10'000}) {
          const int64_t now = peak(job_with(over, experts, batch, checkpointing));
          EXPECT_GE(now, before) << experts << " experts, batch " << batch << ", " << over;
          before = now;
        }
      }
}

TEST(Imbalance, RowsSumToTheWhole) {
  for (const int64_t over : {100, 130, 333, 10'000}) {
    const Job job = job_with(over, 7, 3, Checkpointing::kNone);
    const Program program = trace_step(job, number_dims(job));
    int64_t rows = 0;
    int32_t turn = 0;
    for (const Storage& storage : program.storages) {
      const bool is_rows = std::string_view(storage.made_by) == "nonzero" && storage.bytes.number() != 7 * 8;
      if (turn == 0 && is_rows) turn = storage.turn;
      if (is_rows && storage.turn == turn) rows += storage.bytes.number() / 16;
    }
    EXPECT_EQ(rows, 7 * ((3 * 96 * 2 + 6) / 7)) << over;
  }
}

}  // namespace
}  // namespace peakmem
