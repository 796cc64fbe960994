// Megatron-LM's options as its CI keeps them.
#include "measured/megatron_arguments.h"

#include "format/json.h"

namespace peakmem {
namespace {

Result<mcore::Job> read(const std::string& text, int64_t ranks = 8) {
  const Result<Value> value = parse_json(text);
  return read_megatron_arguments(*value, {.ranks = ranks, .rank = 7, .processor = {.compute_capability = 90}});
}

constexpr const char* kBase =
    R"("--num-layers": 12, "--hidden-size": 512, "--num-attention-heads": 8, "--micro-batch-size": 4,
       "--global-batch-size": 32, "--seq-length": 1024, "--max-position-embeddings": 1024, "--bf16": true,
       "--no-gradient-accumulation-fusion": true, "--lr": 0.00015, "--save": "x", "--log-params-norm": true)";

TEST(MegatronArguments, SizesFollowFromTheRanks) {
  const Result<mcore::Job> job = read(std::string("{") + kBase +
                                      R"(, "--tensor-model-parallel-size": 2, "--pipeline-model-parallel-size": 2,
                                         "--num-layers-per-virtual-pipeline-stage": 2})");
  ASSERT_TRUE(job);
  EXPECT_EQ(job->degrees.dp, 2);
  EXPECT_EQ(job->degrees.vpp, 3);
  EXPECT_EQ(job->training.micro_batches, 4);
  EXPECT_EQ(job->model.vocab, 50432);
  EXPECT_EQ(job->model.ffn, 2048);
  EXPECT_TRUE(job->kernels.te);
  EXPECT_EQ(job->kernels.te_attention, mcore::TeAttention::kFused);
}

TEST(MegatronArguments, AGateTakesTwoThirds) {
  const Result<mcore::Job> job = read(std::string("{") + kBase + R"(, "--swiglu": true})");
  ASSERT_TRUE(job);
  EXPECT_EQ(job->model.ffn, 1344);
}

TEST(MegatronArguments, WhatIsNotModelledIsNamed) {
  for (const char* more : {R"("--num-experts": 8)", R"("--context-parallel-size": 2)", R"("--fp8-format": "hybrid")"}) {
    const Result<mcore::Job> job = read(std::string("{") + kBase + ", " + more + "}");
    ASSERT_FALSE(job) << more;
    EXPECT_NE(std::string(more).find(job.error().field), std::string::npos);
  }
  EXPECT_FALSE(read(std::string("{") + kBase + R"(, "--tensor-model-parallel-size": 3})"));
}

}  // namespace
}  // namespace peakmem
