#include "layout/fully_shard.h"

#include "estimate/estimate.h"
#include "train/jobs.h"

namespace peakmem {
namespace {

using testing::random_sharded_job;

int64_t bytes_of(const Program& program, Category category) {
  int64_t bytes = 0;
  for (const Storage& storage : program.storages)
    if (storage.category == category) bytes += storage.bytes.number();
  return bytes;
}

/// Bytes of this rank's shards of all weights.
int64_t shard_bytes(const Program& program) { return bytes_of(program, Category::kWeights); }

/// A model whose every size is a multiple of 8, in fp32 over 8 ranks, some of it frozen.
Job even_job(const char* family, std::vector<std::string> frozen) {
  Value config;
  config.kind = Value::Kind::kObject;
  config.members.emplace_back("model_type", testing::word(family));
  for (const auto& [name, size] :
       {std::pair("hidden_size", 64), std::pair("intermediate_size", 128), std::pair("num_attention_heads", 8),
        std::pair("num_key_value_heads", 8), std::pair("num_hidden_layers", 7), std::pair("vocab_size", 80),
        std::pair("type_vocab_size", 8)})
    config.members.emplace_back(name, testing::whole(size));
  std::vector<std::string> unknown;
  Job job = {*read_description(config, nullptr, unknown), {}};
  job.recipe.optimizer = find_optimizer("adamw");
  job.recipe.sharding.shards = 8;
  EXPECT_FALSE(freeze(job, std::move(frozen), "freeze")) << family;
  return job;
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

TEST(FullyShard, EvenShardsSumToTheWholeAndOnlyTrainedOnesHaveGradients) {
  for (const char* family : {"llama", "gemma2", "qwen3", "bert"}) {
    for (const std::vector<std::string>& frozen :
         {std::vector<std::string>{}, {"*.weight"}, {"*.[0-3].*", "*embed*"}}) {
      if (frozen == std::vector<std::string>{"*.weight"} && std::string_view(family) != "bert") continue;  // all of it
      const Job job = even_job(family, frozen);
      const Program program = trace_step(job, number_dims(job), true);
      EXPECT_EQ(8 * shard_bytes(program), 4 * program.parameters.number()) << family;
      // A gradient is whole before it is cut to a shard.
      EXPECT_EQ(8 * bytes_of(program, Category::kGradients), int64_t{9} * 4 * program.trained_parameters.number())
          << family;
    }
  }
}

// What is built on the device is whole until it is cut, and leaves nothing but its segments.
TEST(FullyShard, IsWholeFirstWhereItIsBuiltOnTheDevice) {
  Job job = even_job("llama", {});
  const std::vector<PhaseReport> meta = estimate(job, nullptr)->phases;
  job.recipe.built_on_device = true;
  const Program program = trace_step(job, number_dims(job));
  const std::vector<PhaseReport> device = estimate(job, nullptr)->phases;
  EXPECT_GE(device[0].peak_bytes, 4 * program.parameters.number());
  EXPECT_EQ(device[0].end_bytes, meta[0].end_bytes);
  EXPECT_LT(meta[0].peak_bytes, program.parameters.number());
  for (size_t i = 1; i < meta.size(); ++i) EXPECT_EQ(device[i].peak_bytes, meta[i].peak_bytes) << meta[i].phase;
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
