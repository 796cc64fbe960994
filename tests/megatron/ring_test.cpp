// Context-parallel ranks: places, and what a ring keeps.
#include "device/gpu.h"
#include "megatron/step.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

mcore::Job job_of(int64_t ranks, int64_t rank) {
  mcore::Job job;
  job.model.layers = 4;
  job.model.hidden = 128;
  job.model.heads = job.model.groups = 2;
  job.model.head_dim = 64;
  job.model.ffn = 512;
  job.model.vocab = 256;
  job.model.positions = 512;
  job.kernels = {.te = true, .te_is_there = true, .te_attention = mcore::TeAttention::kFlash, .compiled = true};
  job.kernels.te_adam = job.kernels.apex = job.kernels.fuses_activation = true;
  job.degrees.cp = ranks;
  job.training.seq = 512;
  job.training.pretrains = true;
  job.processor = processor_of(*find_gpu("h100-80gb"));
  job.rank = rank;
  return job;
}

int64_t peak(const mcore::Job& job) {
  const Program program = mcore::trace_rank(job);
  return highest(program, *evaluate(program, {}), 2, &PhaseLevels::tensors).bytes;
}

TEST(MegatronRing, RanksAreNumberedAfterTensorOnes) {
  const mcore::Degrees degrees = {.tp = 2, .cp = 2, .pp = 2, .dp = 2};
  const mcore::Place place = place_of(degrees, 2 + 4 + 8);
  EXPECT_EQ(place.tensor, 0);
  EXPECT_EQ(place.context, 1);
  EXPECT_EQ(place.data, 3);
  EXPECT_EQ(place.stage, 1);
}

TEST(MegatronRing, MoreRanksTakeLessOfASequence) {
  const int64_t one = peak(job_of(1, 0));
  const int64_t two = peak(job_of(2, 0));
  const int64_t four = peak(job_of(4, 0));
  EXPECT_LT(two, one);
  EXPECT_LT(four, two);
}

// The last rank meets half of all others' keys with all its queries, the first all of them with half.
TEST(MegatronRing, EveryPlaceIsTraced) {
  for (int64_t rank = 0; rank < 4; ++rank) EXPECT_GT(peak(job_of(4, rank)), 0);
  EXPECT_NE(mcore::trace_rank(job_of(4, 0)).storages.size(), mcore::trace_rank(job_of(4, 3)).storages.size());
}

}  // namespace
}  // namespace peakmem
