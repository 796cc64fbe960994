#include "estimate/step_time.h"

#include <gtest/gtest.h>

#include "request/request.h"

namespace peakmem {
namespace {

Result<StepTime> time_of(const char* model, OptionValues values, const char* gpu = "h100-80gb") {
  const Result<Request> request = make_request(&*shipped_config(model), values, Command::kEstimate);
  EXPECT_TRUE(request) << request.error().problem;
  return step_time(request->job, *find_gpu(gpu));
}

const OptionValues kSmall = {{"batch", "4"}, {"seq", "1024"}, {"precision", "bf16"}};

OptionValues with(OptionValues values, const char* name, const char* text) {
  values.push_back({name, text});
  return values;
}

TEST(StepTime, IsARangeAndNoBetterThanTheCard) {
  const Result<StepTime> time = time_of("llama-3.2-1b", kSmall);
  ASSERT_TRUE(time);
  EXPECT_GT(time->seconds.low, 0);
  EXPECT_LE(time->seconds.low, time->seconds.likely);
  EXPECT_LE(time->seconds.likely, time->seconds.high);
  EXPECT_GE(time->seconds.low, time->flops / time->rate);
  EXPECT_LT(time->mfu.high, 1);
  EXPECT_DOUBLE_EQ(time->tokens, 4 * 1024);
}

TEST(StepTime, ModulesSumToTheFlopsOfTheStep) {
  const Result<StepTime> time = time_of("qwen2.5-0.5b", with(kSmall, "checkpointing", "full"));
  ASSERT_TRUE(time);
  double sum = 0;
  for (const ModuleWork& module : time->modules) sum += module.total();
  EXPECT_DOUBLE_EQ(sum, time->flops);
}

TEST(StepTime, RecomputingTakesLongerAndUsesNoMoreOfTheModel) {
  const Result<StepTime> plain = time_of("llama-3.2-1b", kSmall);
  const Result<StepTime> again = time_of("llama-3.2-1b", with(kSmall, "checkpointing", "full"));
  EXPECT_GT(again->seconds.likely, plain->seconds.likely);
  EXPECT_DOUBLE_EQ(again->model_flops, plain->model_flops);
}

// Two gathers and a reduction of all parameters, three quarters of each.
TEST(StepTime, ShardsAreGatheredTwiceAndReducedOnce) {
  const Result<StepTime> time = time_of("llama-3.2-1b", with(kSmall, "fsdp", "4"));
  ASSERT_TRUE(time);
  constexpr double kBytes = 2.0 * 1235814400;
  EXPECT_NEAR(time->sent_bytes / (3 * kBytes * 0.75), 1, 0.15);  // the root is not gathered again
  EXPECT_EQ(time->ranks, 4);
}

TEST(StepTime, CopiesSumEveryGradient) {
  const Result<StepTime> time = time_of("llama-3.2-1b", with(kSmall, "ddp", "4"));
  EXPECT_DOUBLE_EQ(time->sent_bytes, 2 * 0.75 * 2.0 * 1235814400);
}

TEST(StepTime, IsRefusedWhereRatesAreNotKnown) {
  const Result<StepTime> time = time_of("gpt2", {{"seq", "128"}}, "gaudi-2");
  ASSERT_FALSE(time);
  EXPECT_EQ(time.error().field, "--gpu");
  EXPECT_NE(time.error().hint.find("h100-80gb"), std::string::npos);
}

TEST(StepTime, EveryRateHasItsSource) {
  for (const Gpu& gpu : gpus()) {
    SCOPED_TRACE(gpu.name);
    if (gpu.rates.memory == 0) continue;
    EXPECT_FALSE(gpu.rates.source.empty());
    EXPECT_FALSE(gpu.rates.link_name.empty());
    EXPECT_GT(gpu.rates.fp32, 1e12);
    EXPECT_GE(gpu.rates.fp16, gpu.rates.fp32);
    EXPECT_GT(gpu.rates.link, 1e9);
    EXPECT_LT(gpu.rates.reached, 1);
  }
}

}  // namespace
}  // namespace peakmem
