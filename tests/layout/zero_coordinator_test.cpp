#include "layout/zero_coordinator.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "layout/zero_host.h"
#include "trace/evaluate.h"
#include "train/jobs.h"
#include "train/step.h"

namespace peakmem {
namespace {

using testing::Dice;
using testing::random_job;
using testing::Traced;
using testing::traced;

/// A random decoder under Trainer and ZeRO 3.
Job random_sharded_job(uint32_t seed) {
  Job job = random_job(seed);
  Dice dice(seed + 5000);
  const auto is_modelled = [](const Job& each) {
    return each.description.task == Task::kCausalLm && each.description.experts == 0 && !each.description.tower;
  };
  while (!is_modelled(job)) job = random_job(seed += 7919);
  Recipe& recipe = job.recipe;
  recipe.trainer = find_trainer("hf");
  recipe.names = LoopNames::kNothing;
  recipe.use_cache = false;
  recipe.kernels = {};
  recipe.quantize = Quantize::kNone;
  recipe.lora = {};
  recipe.freeze = {};
  recipe.weights = DType::kBFloat16;
  recipe.autocast.reset();
  recipe.eval_batch = 0;
  recipe.seq = std::max<int64_t>(recipe.seq, 2);
  recipe.optimizer = find_optimizer("adamw");
  recipe.impl = OptimizerImpl::kFused;
  recipe.rest = nullptr;
  if (recipe.checkpointing == Checkpointing::kFullReentrant) recipe.checkpointing = Checkpointing::kFull;
  Zero& zero = recipe.zero;
  zero.stage = 3;
  zero.ranks = dice.from(1, 9);
  zero.rank = dice.from(0, zero.ranks - 1);
  zero.reduce_bucket = dice.from(1, 20000);
  zero.overlaps = dice.coin();
  zero.prefetch_bucket = dice.from(0, 20000);
  zero.persistence_threshold = zero.loaded_persistence = dice.from(0, 100);
  zero.max_live_parameters = dice.from(0, 40000);
  zero.max_reuse_distance = dice.from(0, 40000);
  zero.sub_group = dice.from(0, 40000);
  return job;
}

int64_t end_of(const Traced& traced, std::string_view name, int32_t step) {
  int64_t bytes = -1;
  for (size_t i = 0; i < traced.timeline.size(); ++i) {
    const Phase& phase = traced.program.phases[i];
    if (phase.name == name && phase.step == step) bytes = traced.timeline[i].end.tensors;
  }
  return bytes;
}

int64_t made(const Program& program, std::string_view op, Category category) {
  int64_t bytes = 0;
  for (const Storage& storage : program.storages)
    if (storage.made_by == op && storage.category == category) bytes += storage.bytes.number();
  return bytes;
}

int64_t peak(const Traced& traced, int32_t step = 2) {
  return highest(traced.program, traced.timeline, step, &PhaseLevels::tensors).bytes;
}

/// Elements of the parameters that are whole between steps.
int64_t persistent(const Traced& traced, const Zero& zero) {
  int64_t elements = 0;
  for (const Storage& storage : traced.program.storages)
    if (storage.made_by == std::string_view("parameter") && storage.bytes.number() <= 2 * zero.persistence_threshold)
      elements += storage.bytes.number() / 2;
  return elements;
}

TEST(ZeroCoordinator, StepsEndAlike) {
  for (uint32_t seed = 0; seed < 25; ++seed) {
    const Traced one = traced(random_sharded_job(seed));
    EXPECT_EQ(end_of(one, "zero_grad", 1), end_of(one, "zero_grad", 2)) << "seed " << seed;
  }
}

// What was made is released as often, but for what lives on: no storage is twice there or twice gone.
TEST(ZeroCoordinator, MemoryIsThereOnce) {
  for (uint32_t seed = 0; seed < 25; ++seed) {
    const Traced one = traced(random_sharded_job(seed));
    std::vector<int> there(one.program.storages.size());
    for (const Segment& segment : one.program.segments)
      for (int32_t i = segment.first; i < segment.last; ++i) {
        const Event& event = one.program.events[static_cast<size_t>(i)];
        int& count = there[static_cast<size_t>(event.storage)];
        count += event.birth ? 1 : -1;
        ASSERT_GE(count, 0) << "seed " << seed << " "
                            << one.program.storages[static_cast<size_t>(event.storage)].made_by;
        ASSERT_LE(count, 2) << "seed " << seed;  // a trainer's batches are born again before they go
      }
  }
}

TEST(ZeroCoordinator, ShardsTogetherAreTheWhole) {
  for (uint32_t seed = 0; seed < 25; ++seed) {
    const Job job = random_sharded_job(seed);
    const Traced one = traced(job);
    const int64_t ranks = job.recipe.zero.ranks;
    const int64_t parameters = one.program.trained_parameters.number();
    const int64_t flat = made(one.program, "flat_weights", Category::kWeights);
    EXPECT_GE(flat * ranks, 2 * parameters) << "seed " << seed;
    EXPECT_LT(flat * ranks, 2 * (parameters + ranks * static_cast<int64_t>(one.program.weights.size())))
        << "seed " << seed;
    EXPECT_EQ(made(one.program, "fp32_weights", Category::kOptimizer), 2 * flat) << "seed " << seed;
    EXPECT_EQ(made(one.program, "exp_avg", Category::kOptimizer), 2 * flat) << "seed " << seed;
    EXPECT_EQ(made(one.program, "own_gradients", Category::kGradients), flat) << "seed " << seed;
  }
}

// Beside the bucket and the gradients of the parts, which it keeps for good, and the small parameters that stay whole.
TEST(ZeroCoordinator, KeepsNoMoreThanZero2) {
  for (uint32_t seed = 0; seed < 25; ++seed) {
    Job job = random_sharded_job(seed);
    const Traced third = traced(job);
    const int64_t buffers =
        2 * job.recipe.zero.reduce_bucket + made(third.program, "own_gradients", Category::kGradients);
    const int64_t padding = 16 * static_cast<int64_t>(third.program.weights.size());  // of each parameter
    const int64_t small = 2 * persistent(third, job.recipe.zero) + padding * job.recipe.zero.ranks;
    job.recipe.zero.stage = 2;
    const Traced second = traced(job);
    EXPECT_LE(end_of(third, "zero_grad", 2), end_of(second, "zero_grad", 2) + buffers + small + padding)
        << "seed " << seed;
  }
}

// The first step knows no order: it gathers for a module and cuts again behind it.
TEST(ZeroCoordinator, WhatIsUsedAgainSoonStaysWhole) {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    Job job = random_sharded_job(seed);
    job.recipe.checkpointing = Checkpointing::kNone;
    job.recipe.accumulate = 1;
    Zero& zero = job.recipe.zero;
    zero.ranks = 4;
    zero.rank = 0;
    zero.persistence_threshold = zero.loaded_persistence = 0;
    zero.max_live_parameters = zero.max_reuse_distance = int64_t{1} << 40;
    const Traced all = traced(job);
    zero.max_live_parameters = zero.max_reuse_distance = zero.prefetch_bucket = 0;
    const Traced none = traced(job);
    const int64_t whole = end_of(all, "forward", 2) - end_of(none, "forward", 2);
    const int64_t parameters = 2 * all.program.trained_parameters.number();
    EXPECT_GE(whole, parameters) << "seed " << seed;
    EXPECT_LE(whole, parameters + 6 * static_cast<int64_t>(all.program.weights.size())) << "seed " << seed;
    EXPECT_EQ(end_of(all, "forward", 1), end_of(none, "forward", 1)) << "seed " << seed;
    EXPECT_LE(peak(none), peak(all)) << "seed " << seed;
  }
}

TEST(ZeroCoordinator, OnTheHostNothingIsLeftOnTheCard) {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    Job job = random_sharded_job(seed);
    const Traced card = traced(job);
    job.recipe.zero.offloads_optimizer = job.recipe.zero.offloads_parameters = true;
    const Traced host = traced(job);
    EXPECT_EQ(made(host.program, "flat_weights", Category::kWeights), 0) << "seed " << seed;
    EXPECT_EQ(made(host.program, "exp_avg", Category::kOptimizer), 0) << "seed " << seed;
    const std::optional<HostMemory> memory = host_memory(job);
    ASSERT_TRUE(memory);
    for (const HostBuffers& buffers : memory->buffers) {
      if (buffers.name == "weights") {
        EXPECT_EQ(buffers.bytes, made(card.program, "flat_weights", Category::kWeights)) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace peakmem
