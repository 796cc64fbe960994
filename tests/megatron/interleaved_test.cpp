// Which micro-batch of which chunk runs when, and what of that a rank holds.
#include "megatron/interleaved.h"

#include "megatron/step.h"
#include "trace/evaluate.h"

namespace peakmem::mcore {
namespace {

Job small(int64_t pp, int64_t vpp, int64_t micro_batches) {
  Job job;
  job.model = {.layers = 8, .hidden = 64, .heads = 4, .groups = 4, .head_dim = 16, .ffn = 256, .vocab = 512};
  job.model.positions = job.training.seq = 32;
  job.kernels = {.te = true, .compiled = true};
  job.degrees = {.tp = 1, .pp = pp, .vpp = vpp};
  job.training.micro_batches = micro_batches;
  job.training.overlaps_sends = vpp > 1;
  return job;
}

int64_t peak_of(const Job& job) {
  const Program program = trace_rank(job);
  const Result<Timeline> timeline = evaluate(program, {});
  int64_t peak = 0;
  for (const PhaseLevels& levels : *timeline) peak = std::max(peak, levels.tensors.bytes);
  return peak;
}

// The original's comment has this one: PP2 N3M5 with VP2, but groups of three.
TEST(Interleaved, GroupsGoThroughOneChunkAfterAnother) {
  const std::vector<Turn> table = schedule_table(5, 2, 3);
  std::string text;
  for (const Turn& turn : table) text += std::to_string(turn.micro_batch) + std::to_string(turn.chunk) + " ";
  EXPECT_EQ(text, "00 10 20 01 11 21 30 40 31 41 ");
}

TEST(Interleaved, EarlierStagesGoForwardLonger) {
  const Job job = small(4, 2, 8);
  EXPECT_EQ(warmup_turns(job, 3), 4);
  EXPECT_EQ(warmup_turns(job, 0), 10);
  EXPECT_EQ(warmup_turns(small(4, 2, 4), 0), 8);  // all there are
}

TEST(Interleaved, EveryTurnGoesForwardAndBackwardOnce) {
  for (const int64_t rank : {0, 1, 2, 3}) {
    Job job = small(4, 2, 8);
    job.rank = rank;
    const Program program = trace_rank(job);
    const Result<Timeline> timeline = evaluate(program, {});
    ASSERT_TRUE(timeline);
    EXPECT_EQ(timeline->front().start.tensors, 0);
    int64_t turns = 0;
    for (const Phase& phase : program.phases)
      if (phase.step == 2 && phase.micro >= 0) ++turns;
    EXPECT_GE(turns, 2 * 8);
  }
}

TEST(Interleaved, HoldsMoreThanPlainPipelines) { EXPECT_GT(peak_of(small(4, 2, 8)), peak_of(small(4, 1, 8))); }

}  // namespace
}  // namespace peakmem::mcore
