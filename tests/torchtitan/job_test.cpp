// Which layers a stage has, and what degrees do to what ranks hold.
#include "torchtitan/job.h"

#include "torchtitan/step.h"
#include "trace/evaluate.h"

namespace peakmem::titan {
namespace {

Job small() {
  Job job;
  job.model = {.layers = 6, .dim = 64, .heads = 8, .kv_heads = 4, .head_dim = 8, .ffn = 128, .vocab = 256};
  job.training.batch = 4;
  job.training.seq = 32;
  job.training.dtype = DType::kBFloat16;
  return job;
}

TEST(TorchtitanJob, StagesHaveAllLayersOnce) {
  for (const int64_t layers : {6, 7, 11, 16})
    for (const int64_t stages : {1, 2, 3, 4}) {
      Job job = small();
      job.model.layers = layers;
      job.degrees.pp = stages;
      int64_t next = 0;
      for (int64_t stage = 0; stage < stages; ++stage) {
        const Chunk chunk = chunk_of(job, stage);
        EXPECT_EQ(chunk.first, next);
        EXPECT_EQ(chunk.embeds, stage == 0);
        EXPECT_EQ(chunk.heads, stage == stages - 1);
        next += chunk.layers;
      }
      EXPECT_EQ(next, layers);
    }
}

// Interleaved, a rank has two stages as far apart as there are ranks.
TEST(TorchtitanJob, InterleavedStagesHaveAllLayersOnce) {
  Job job = small();
  job.model.layers = 14;
  job.degrees.pp = 4;
  job.training.schedule = Schedule::kInterleaved1F1B;
  ASSERT_EQ(job.stages(), 8);
  int64_t next = 0;
  for (int64_t stage = 0; stage < 8; ++stage) {
    const Chunk chunk = chunk_of(job, stage);
    EXPECT_EQ(chunk.first, next);
    next += chunk.layers;
  }
  EXPECT_EQ(next, 14);
}

TEST(TorchtitanJob, StagesAreNumberedBeforeAllOtherDegrees) {
  Job job = small();
  job.degrees = {.dp_replicate = 1, .dp_shard = 2, .tp = 2, .pp = 2};
  for (int64_t rank = 0; rank < 8; ++rank) {
    job.rank = rank;
    EXPECT_EQ(job.stage(), rank / 4);
  }
}

/// What is live after the model was built and after the last update, without positions and scalars.
int64_t live_at_end(const Job& job, size_t phase) {
  const Program program = trace_rank(job);
  const Result<Timeline> timeline = evaluate(program, {});
  return (*timeline)[phase == 0 ? 0 : timeline->size() - 1].end.tensors;
}

constexpr int64_t kPositions = int64_t{32} * 4 * 8;  // [seq, head_dim / 2] complex

int64_t parameters(Job job, int64_t rank) {
  job.rank = rank;
  return trace_rank(job).parameters.number();
}

TEST(TorchtitanRanks, PartsAndCopiesSumToTheWhole) {
  const Model m = small().model;
  const int64_t whole = parameters(small(), 0);
  Job divided = small();
  divided.degrees.tp = 4;
  EXPECT_EQ(4 * parameters(divided, 0), whole + 3 * (2 * m.layers + 1) * m.dim);
  Job staged = small();
  staged.degrees.pp = 4;
  staged.training.microbatches = 4;
  int64_t sum = 0;
  for (int64_t stage = 0; stage < 4; ++stage) sum += parameters(staged, stage);
  EXPECT_EQ(sum, whole);
  Job sharded = small();
  sharded.degrees.dp_shard = 8;
  EXPECT_EQ(8 * (live_at_end(sharded, 0) - kPositions), 2 * whole);
}

TEST(TorchtitanRanks, MoreOfADegreeNeverAddsWeightsOrStates) {
  Job job = small();
  job.training.dtype = DType::kFloat32;
  job.degrees.dp_shard = 2;
  int64_t before = live_at_end(job, 1);
  for (const int64_t shards : {4, 8, 16}) {
    job.degrees.dp_shard = shards;
    const int64_t now = live_at_end(job, 1);
    EXPECT_LT(now, before);
    before = now;
  }
  Job copies = job;
  copies.degrees.dp_replicate = 4;
  EXPECT_EQ(live_at_end(copies, 1), before);
}

// What says how something is divided does nothing where it is not.
TEST(TorchtitanRanks, DegreesOfOneAreOneGpu) {
  const Job job = small();
  Job same = small();
  same.training.loss_parallel = false;
  same.training.schedule = Schedule::kGPipe;
  same.training.reshard = true;
  const Result<Timeline> a = evaluate(trace_rank(job), {});
  const Result<Timeline> b = evaluate(trace_rank(same), {});
  ASSERT_EQ(a->size(), b->size());
  for (size_t i = 0; i < a->size(); ++i) {
    EXPECT_EQ((*a)[i].tensors.bytes, (*b)[i].tensors.bytes);
    EXPECT_EQ((*a)[i].end.tensors, (*b)[i].end.tensors);
  }
}

}  // namespace
}  // namespace peakmem::titan
