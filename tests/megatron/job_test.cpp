// Where a rank stands, and which layers it has.
#include "megatron/job.h"

#include "megatron/step.h"

namespace peakmem::mcore {
namespace {

Job small() {
  Job job;
  job.model = {.layers = 8,
               .hidden = 64,
               .heads = 4,
               .groups = 4,
               .head_dim = 16,
               .ffn = 128,
               .vocab = 256,
               .positions = 32,
               .hidden_dropout = 0.1,
               .attention_dropout = 0.1,
               .mixture = {}};
  job.training = {.seq = 32, .micro_batch = 2, .micro_batches = 4};
  return job;
}

TEST(MegatronJob, NumbersRanksTensorFirstThenDataThenStages) {
  const Place place = place_of({.tp = 2, .pp = 2, .dp = 3}, 9);  // 9 = 6 of the first stage, and 1·2 + 1
  EXPECT_EQ(place.stage, 1);
  EXPECT_EQ(place.data, 1);
  EXPECT_EQ(place.tensor, 1);
}

TEST(MegatronJob, StagesHaveAllLayersOnce) {
  for (const int64_t first : {0, 1, 2})
    for (const int64_t last : {0, 3}) {
      Job job = small();
      job.degrees.pp = 3;
      job.training.first_layers = first;
      job.training.last_layers = last;
      job.model.layers = first + last + (first > 0 ? 0 : 2) + (last > 0 ? 0 : 2) + 2;
      int64_t next = 0;
      for (int64_t stage = 0; stage < 3; ++stage) {
        const Chunk chunk = chunk_of(job, stage, 0);
        EXPECT_EQ(chunk.first, next);
        EXPECT_EQ(chunk.embeds, stage == 0);
        EXPECT_EQ(chunk.heads, stage == 2);
        next += chunk.layers;
      }
      EXPECT_EQ(next, job.model.layers);
    }
}

int64_t parameters(Job job, int64_t rank) {
  job.rank = rank;
  return trace_rank(job).parameters.number();
}

// A stage's tensor-parallel ranks have what is divided in parts and what is not in copies; with tied embeddings the
// last stage has the embedding once more.
TEST(MegatronRanks, PartsAndCopiesSumToTheWhole) {
  const Gpt m = small().model;
  const int64_t whole = parameters(small(), 0);
  const int64_t copies = m.layers * (4 * m.hidden + 2 * m.hidden) + 2 * m.hidden + m.positions * m.hidden;
  Job divided = small();
  divided.degrees.tp = 4;
  EXPECT_EQ(4 * parameters(divided, 0), whole + 3 * copies);
  Job staged = small();
  staged.degrees.pp = 4;
  int64_t sum = 0;
  for (int64_t stage = 0; stage < 4; ++stage) sum += parameters(staged, stage);
  EXPECT_EQ(sum, whole + m.vocab * m.hidden);
}

}  // namespace
}  // namespace peakmem::mcore
