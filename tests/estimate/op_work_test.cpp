#include "estimate/op_work.h"

#include <gtest/gtest.h>

#include "../train/jobs.h"
#include "request/request.h"
#include "train/step.h"

namespace peakmem {
namespace {

using testing::random_job;

Job job_of(const char* model, OptionValues values) {
  const Result<Request> request = make_request(&*shipped_config(model), values, Command::kEstimate);
  EXPECT_TRUE(request) << request.error().problem;
  return request->job;
}

/// A step's floating-point operations by class and pass.
struct Sums {
  std::array<std::array<double, kPasses>, kOpClasses> flops = {};
  double model_flops = 0;
  double bytes = 0;

  double of(OpClass what, Pass pass) const { return flops[static_cast<size_t>(what)][static_cast<size_t>(pass)]; }
};

Sums sums_of(const Job& job, bool unrolled = false) {
  const Program program = trace_step(job, number_dims(job), unrolled);
  Sums sums;
  for (const OpWork& op : steady_work(program, {}, job.recipe.accumulate)) {
    sums.flops[static_cast<size_t>(op.what)][static_cast<size_t>(op.pass)] += op.times * op.flops;
    sums.model_flops += op.times * op.model_flops;
    sums.bytes += op.times * op.bytes;
  }
  return sums;
}

// Weights of GPT-2's linear layers: 12·768² in each of 12 layers, and the head.
constexpr double kWeights = 12.0 * 12 * 768 * 768 + 50257.0 * 768;
constexpr double kTokens = 2.0 * 512;
constexpr double kScores = 12.0 * 2 * 12 * 512 * 512 * 64;  // layers · batch · heads · T² · width

TEST(OpWork, ProductsAreTwoForEveryWeightAndToken) {
  const Sums sums = sums_of(job_of("gpt2", {{"batch", "2"}, {"seq", "512"}}));
  EXPECT_EQ(sums.of(OpClass::kProduct, Pass::kForward), 2 * kTokens * kWeights);
  EXPECT_EQ(sums.of(OpClass::kProduct, Pass::kBackward), 4 * kTokens * kWeights);
  EXPECT_EQ(sums.of(OpClass::kProduct, Pass::kAgain), 0);
}

TEST(OpWork, CausalKernelsDoHalfOfAttention) {
  const Sums sums = sums_of(job_of("gpt2", {{"batch", "2"}, {"seq", "512"}, {"precision", "bf16"}}));
  EXPECT_EQ(sums.of(OpClass::kAttention, Pass::kForward), 4 * kScores / 2);
  EXPECT_EQ(sums.of(OpClass::kAttention, Pass::kBackward), 10 * kScores / 2);
  // PaLM's count: 6 for every weight and token, 12 for every score and width.
  EXPECT_EQ(sums.model_flops, 6 * kTokens * kWeights + 12 * kScores);
}

TEST(OpWork, EagerAttentionIsProducts) {
  const Sums sums = sums_of(job_of("gpt2", {{"batch", "2"}, {"seq", "512"}, {"attention", "eager"}}));
  EXPECT_EQ(sums.of(OpClass::kProduct, Pass::kForward), 2 * kTokens * kWeights + 4 * kScores);
  EXPECT_EQ(sums.model_flops, 6 * kTokens * kWeights + 12 * kScores);
}

TEST(OpWork, ReentrantCheckpointsRunEveryLayerAgain) {
  const Sums plain = sums_of(job_of("gpt2", {{"batch", "2"}, {"seq", "512"}}));
  const Sums again = sums_of(job_of("gpt2", {{"batch", "2"}, {"seq", "512"}, {"checkpointing", "full-reentrant"}}));
  constexpr double kHead = 2 * kTokens * 50257 * 768;
  EXPECT_EQ(again.of(OpClass::kProduct, Pass::kAgain), plain.of(OpClass::kProduct, Pass::kForward) - kHead);
  EXPECT_EQ(again.of(OpClass::kAttention, Pass::kAgain), plain.of(OpClass::kAttention, Pass::kForward));
  EXPECT_EQ(again.model_flops, plain.model_flops);
}

TEST(OpWork, OtherCheckpointsStopAfterTheLastTensorNeeded) {
  const OptionValues values = {{"batch", "2"}, {"seq", "512"}};
  const Sums plain = sums_of(job_of("llama-3.2-1b", values));
  const Sums again = sums_of(job_of("llama-3.2-1b", {values[0], values[1], {"checkpointing", "full"}}));
  // Nothing in the backward pass wants what a layer's last product gives.
  constexpr double kDown = 16 * 2 * kTokens * 8192 * 2048;
  constexpr double kHead = 2 * kTokens * 128256 * 2048;
  EXPECT_EQ(again.of(OpClass::kProduct, Pass::kAgain), plain.of(OpClass::kProduct, Pass::kForward) - kHead - kDown);
}

TEST(OpWork, MicroBatchesAndLayersThatStandForManyCountAsMany) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Job job = random_job(seed);
    const Sums folded = sums_of(job);
    const Sums unrolled = sums_of(job, true);
    EXPECT_EQ(folded.flops, unrolled.flops);
    EXPECT_EQ(folded.model_flops, unrolled.model_flops);
  }
}

TEST(OpWork, LettersGiveTheSameNumbers) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Job job = random_job(seed);
    Pool pool;
    std::vector<int64_t> values;
    const Program program = trace_step(job, symbol_dims(job, pool, values));
    double flops = 0;
    for (const OpWork& op : steady_work(program, pool.evaluate(values), job.recipe.accumulate))
      flops += op.times * op.flops;
    double numbers = 0;
    for (const OpWork& op : steady_work(trace_step(job, number_dims(job)), {}, job.recipe.accumulate))
      numbers += op.times * op.flops;
    EXPECT_EQ(flops, numbers);
  }
}

}  // namespace
}  // namespace peakmem
