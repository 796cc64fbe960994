#include "layout/flat_shard.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "estimate/estimate.h"
#include "trace/lifetimes.h"
#include "train/jobs.h"

namespace peakmem {
namespace {

/// A model whose every size is a multiple of 16, in bf16 under accelerate, over 4 ranks.
Job flat_job() {
  Value config;
  config.kind = Value::Kind::kObject;
  config.members.emplace_back("model_type", testing::word("llama"));
  for (const auto& [name, size] :
       {std::pair("hidden_size", 64), std::pair("intermediate_size", 128), std::pair("num_attention_heads", 4),
        std::pair("num_key_value_heads", 4), std::pair("num_hidden_layers", 5), std::pair("vocab_size", 320)})
    config.members.emplace_back(name, testing::whole(size));
  std::vector<std::string> unknown;
  Job job = {*read_description(config, nullptr, unknown), {}};
  Recipe& recipe = job.recipe;
  recipe.optimizer = find_optimizer("adamw");
  recipe.impl = OptimizerImpl::kFused;
  recipe.trainer = find_trainer("hf");
  recipe.batch = 2;
  recipe.seq = 32;
  recipe.weights = DType::kBFloat16;
  recipe.autocast = DType::kBFloat16;
  recipe.sharding.shards = 4;
  recipe.sharding.flat = {.runs = true, .keeps_parameters = true, .prefetch = Prefetch::kNone, .sends_states = true};
  convert_sharded(recipe);
  return job;
}

int64_t kept(const Job& job, Category category) {
  int64_t bytes = 0;
  for (const Storage& storage : trace_step(job, number_dims(job)).storages)
    if (storage.category == category) bytes += storage.bytes.number();
  return bytes;
}

int64_t peak_of(const Job& job, std::string_view phase) {
  const Result<Report> report = estimate(job, nullptr);
  for (const PhaseReport& each : report->phases)
    if (each.step == 2 && each.phase == phase) return each.peak_bytes;
  return 0;
}

// Two states and a number of steps for each of the rank's parts.
TEST(FlatShard, StatesOfAllRanksSumToTheModels) {
  Job job = flat_job();
  int64_t states = 0;
  for (job.recipe.sharding.flat.rank = 0; job.recipe.sharding.flat.rank < 4; ++job.recipe.sharding.flat.rank) {
    const Program program = trace_step(job, number_dims(job));
    for (const Storage& storage : program.storages)
      if (storage.category == Category::kOptimizer && storage.bytes.number() > 4) states += storage.bytes.number();
  }
  EXPECT_EQ(states, 8 * trace_step(job, number_dims(job)).parameters.number());
}

TEST(FlatShard, IsAlikeOnAllRanksWhereNothingIsPadded) {
  Job job = flat_job();
  const int64_t weights = kept(job, Category::kWeights);
  const int64_t gradients = kept(job, Category::kGradients);
  for (const int64_t rank : {1, 3}) {
    job.recipe.sharding.flat.rank = rank;
    EXPECT_EQ(kept(job, Category::kWeights), weights);
    EXPECT_EQ(kept(job, Category::kGradients), gradients);
  }
}

TEST(FlatShard, HoldsMoreTheLongerUnitsStayWhole) {
  const Job job = flat_job();
  Job ahead = job;
  ahead.recipe.sharding.flat.prefetch = Prefetch::kPre;
  Job whole = job;
  whole.recipe.sharding.reshard_after_forward = false;
  EXPECT_EQ(peak_of(ahead, "forward"), peak_of(job, "forward"));
  EXPECT_GE(peak_of(ahead, "backward"), peak_of(job, "backward"));
  EXPECT_GT(peak_of(whole, "forward"), peak_of(job, "forward"));
  EXPECT_GE(peak_of(whole, "backward"), peak_of(ahead, "backward"));
}

TEST(FlatShard, ReleasesNothingThatIsNotThere) {
  for (const bool keeps : {true, false})
    for (const int64_t accumulate : {1, 3}) {
      Job job = flat_job();
      job.recipe.sharding.flat.keeps_parameters = keeps;
      job.recipe.accumulate = accumulate;
      const std::optional<Error> wrong = check_lifetimes(trace_step(job, number_dims(job), true), {});
      EXPECT_FALSE(wrong) << keeps << accumulate << (wrong ? wrong->problem : "");
    }
}

// In no_sync() a gradient of all parameters stays from one micro-batch to the next.
TEST(FlatShard, KeepsWholeGradientsOfMicroBatches) {
  Job job = flat_job();
  const int64_t once = peak_of(job, "forward");
  job.recipe.accumulate = 2;
  job.recipe.batch = 1;
  const std::vector<PhaseReport> phases = estimate(job, nullptr)->phases;
  const auto last = std::find_if(phases.begin(), phases.end(), [](const PhaseReport& phase) {
    return phase.step == 2 && phase.phase == "forward" && phase.micro == 1;
  });
  ASSERT_NE(last, phases.end());
  EXPECT_GE(last->start_bytes, 2 * trace_step(job, number_dims(job)).parameters.number());
  EXPECT_GT(once, 0);
}

// What zero_grad() leaves goes with the next step's forward pass, unless the optimizer has the flat parameters.
TEST(FlatShard, DropsAShardsGradientAtTheNextForwardPass) {
  Job job = flat_job();
  const int64_t parts = peak_of(job, "input");
  job.recipe.sharding.flat.keeps_parameters = false;
  const int64_t flat = peak_of(job, "input");
  EXPECT_GE(parts - flat, trace_step(job, number_dims(job)).parameters.number());  // 4 bytes each, over 4 ranks
}

}  // namespace
}  // namespace peakmem
