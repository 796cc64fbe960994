#include "train/fully_shard.h"

#include "jobs.h"

namespace peakmem {
namespace {

using testing::random_sharded_job;

/// Bytes of this rank's shards of all weights.
int64_t shard_bytes(const Program& program) {
  int64_t bytes = 0;
  for (const Storage& storage : program.storages)
    if (storage.category == Category::kWeights) bytes += storage.bytes.number();
  return bytes;
}

TEST(FullyShard, ShardsAreTheirPartOfThePaddedWhole) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const Job job = random_sharded_job(seed);
    Job one = job;
    one.recipe.sharding.shards = 1;
    one.recipe.sharding.replicas = 2;
    one.recipe.sharding.hybrid = true;
    const int64_t whole = shard_bytes(trace_step(one, number_dims(one), true));
    const int64_t shards = job.recipe.sharding.shards * shard_bytes(trace_step(job, number_dims(job), true));
    EXPECT_GE(shards, whole) << "seed " << seed;
  }
}

TEST(FullyShard, ManyRanksCostWhatFewDo) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    Job job = random_sharded_job(seed);
    job.recipe.sharding.shards = 8;
    const size_t few = trace_step(job, number_dims(job)).events.size();
    job.recipe.sharding.shards = 8000;
    EXPECT_EQ(trace_step(job, number_dims(job)).events.size(), few) << "seed " << seed;
  }
}

TEST(FullyShard, MoreRanksNeverHoldLargerShards) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    Job job = random_sharded_job(seed);
    job.recipe.sharding.shards = 2;
    int64_t before = shard_bytes(trace_step(job, number_dims(job), true));
    for (const int64_t shards : {3, 7, 64, 1000}) {
      job.recipe.sharding.shards = shards;
      const int64_t now = shard_bytes(trace_step(job, number_dims(job), true));
      EXPECT_LE(now, before) << "seed " << seed << " over " << shards;
      before = now;
    }
  }
}

}  // namespace
}  // namespace peakmem
