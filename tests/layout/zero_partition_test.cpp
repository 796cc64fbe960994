#include "layout/zero_partition.h"

#include <algorithm>
#include <string_view>

#include "layout/zero_host.h"
#include "trace/evaluate.h"
#include "train/jobs.h"

namespace peakmem {
namespace {

using testing::Dice;
using testing::random_job;
using testing::Traced;
using testing::traced;

/// A random decoder under Trainer and ZeRO 2.
Job random_zero_job(uint32_t seed) {
  Job job = random_job(seed);
  Dice dice(seed + 3000);
  while (job.description.task != Task::kCausalLm || job.recipe.quantize != Quantize::kNone)
    job = random_job(seed += 7919);
  Recipe& recipe = job.recipe;
  recipe.trainer = find_trainer("hf");
  recipe.names = LoopNames::kNothing;
  recipe.use_cache = false;
  recipe.kernels = {};
  recipe.weights = DType::kBFloat16;
  recipe.autocast.reset();
  recipe.lora.full_precision = false;
  recipe.seq = std::max<int64_t>(recipe.seq, 2);
  recipe.optimizer = find_optimizer("adamw");
  recipe.impl = OptimizerImpl::kFused;
  recipe.rest = nullptr;
  if (recipe.checkpointing == Checkpointing::kFullReentrant) recipe.checkpointing = Checkpointing::kFull;
  recipe.zero.stage = 2;
  recipe.zero.ranks = dice.from(1, 9);
  recipe.zero.rank = dice.from(0, recipe.zero.ranks - 1);
  recipe.zero.reduce_bucket = dice.from(1, 20000);
  recipe.zero.overlaps = dice.coin();
  return job;
}

int64_t peak(const Job& job, int32_t step = 2) {
  const Traced traced = testing::traced(job);
  return highest(traced.program, traced.timeline, step, &PhaseLevels::tensors).bytes;
}

/// The tensors' bytes at the end of the last phase of that name and step.
int64_t end_of(const Traced& traced, std::string_view name, int32_t step, int32_t micro = -1) {
  int64_t bytes = -1;
  for (size_t i = 0; i < traced.timeline.size(); ++i) {
    const Phase& phase = traced.program.phases[i];
    if (phase.name == name && phase.step == step && phase.micro == micro) bytes = traced.timeline[i].end.tensors;
  }
  return bytes;
}

int64_t made(const Program& program, std::string_view op) {
  int64_t bytes = 0;
  for (const Storage& storage : program.storages)
    if (storage.made_by == op) bytes += storage.bytes.number();
  return bytes;
}

TEST(ZeroPartition, StepsEndAlike) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Traced one = traced(random_zero_job(seed));
    EXPECT_EQ(end_of(one, "zero_grad", 1), end_of(one, "zero_grad", 2)) << "seed " << seed;
  }
}

TEST(ZeroPartition, FlatWeightsTakeThePlaceOfTheModels) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Job job = random_zero_job(seed);
    const Traced one = traced(job);
    const int64_t flat = made(one.program, "flat_weights");
    EXPECT_GE(flat, 2 * one.program.trained_parameters.number()) << "seed " << seed;
    EXPECT_LT(flat, 2 * one.program.trained_parameters.number() + 2 * 2 * 2 * job.recipe.zero.ranks) << "seed " << seed;
    EXPECT_EQ(made(one.program, "fp32_weights") * job.recipe.zero.ranks, 2 * flat) << "seed " << seed;
    EXPECT_EQ(made(one.program, "exp_avg") * job.recipe.zero.ranks, 2 * flat) << "seed " << seed;
  }
}

TEST(ZeroPartition, Stage2KeepsNoMoreThanStage1BetweenMicroBatches) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Job job = random_zero_job(seed);
    job.recipe.accumulate = 3;
    const Traced second = traced(job);
    job.recipe.zero.stage = 1;
    const Traced first = traced(job);
    EXPECT_LE(end_of(second, "backward", 2, 0), end_of(first, "backward", 2, 0)) << "seed " << seed;
  }
}

TEST(ZeroPartition, RanksTogetherHaveAllGradients) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    Job job = random_zero_job(seed);
    int64_t own = 0;
    int64_t whole = 0;
    for (job.recipe.zero.rank = 0; job.recipe.zero.rank < job.recipe.zero.ranks; ++job.recipe.zero.rank) {
      const Traced one = traced(job);
      own += made(one.program, "own_gradients");
      whole = 2 * one.program.trained_parameters.number();
    }
    EXPECT_GE(own, whole) << "seed " << seed;
  }
}

TEST(ZeroPartition, AnOptimizerOnTheHostLeavesTheCard) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    Job job = random_zero_job(seed);
    EXPECT_FALSE(host_memory(job));
    const Traced card = traced(job);
    job.recipe.zero.offloads_optimizer = true;
    const Traced host = traced(job);
    EXPECT_EQ(made(host.program, "fp32_weights") + made(host.program, "exp_avg"), 0) << "seed " << seed;
    job.recipe.zero.pins_optimizer = true;
    const std::optional<HostMemory> pinned = host_memory(job);
    ASSERT_TRUE(pinned);
    for (const HostBuffers& buffers : pinned->buffers) {
      EXPECT_GE(buffers.taken, buffers.bytes);
      EXPECT_LE(buffers.taken, buffers.pinned ? 2 * buffers.bytes : buffers.bytes);
      if (buffers.name == "optimizer states") {
        EXPECT_EQ(buffers.bytes, 2 * made(card.program, "exp_avg"));
      }
    }
  }
}

TEST(ZeroPartition, ABucketOverAllIsFilledOnce) {
  Job job = random_zero_job(3);
  job.recipe.zero.ranks = 1;
  job.recipe.zero.rank = 0;
  job.recipe.zero.reduce_bucket = 1 << 30;
  EXPECT_EQ(made(traced(job).program, "reduced"), 0);  // all of it is of one rank
  EXPECT_GT(peak(job), 2 * (int64_t{1} << 30));
}

}  // namespace
}  // namespace peakmem
