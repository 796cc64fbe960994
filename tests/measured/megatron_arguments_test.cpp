// Megatron-LM's options as its CI keeps them.
#include "measured/megatron_arguments.h"

#include <cstdlib>
#include <fstream>

#include "device/gpu.h"
#include "device/replay.h"
#include "format/given.h"
#include "format/json.h"
#include "megatron/step.h"

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
  for (const char* more : {R"("--num-experts": 8, "--moe-token-dispatcher-type": "flex")",
                           R"("--cp-comm-type": "a2a", "--context-parallel-size": 2)", R"("--fp8-format": "hybrid")"}) {
    const Result<mcore::Job> job = read(std::string("{") + kBase + ", " + more + "}");
    ASSERT_FALSE(job) << more;
    EXPECT_NE(std::string(more).find(job.error().field), std::string::npos);
  }
  EXPECT_FALSE(read(std::string("{") + kBase + R"(, "--tensor-model-parallel-size": 3})"));
}

TEST(MegatronArguments, AnotherOrderOfRanksHasItsFirstAndLast) {
  const std::string order = std::string("{") + kBase + R"(, "--use-tp-pp-dp-mapping": true})";
  EXPECT_TRUE(read(order, 8));
  EXPECT_FALSE(read(order, 16));
}

TEST(MegatronArguments, OfExpertsMegatronsUsual) {
  const Result<mcore::Job> job =
      read(std::string("{") + kBase +
           R"(, "--num-experts": 8, "--disable-bias-linear": true, "--expert-model-parallel-size": 4})");
  ASSERT_TRUE(job);
  const mcore::Mixture& m = job->model.mixture;
  EXPECT_EQ(m.experts_per_token, 2);
  EXPECT_EQ(m.ffn, 2048);
  EXPECT_EQ(m.dispatcher, mcore::Dispatcher::kAllGather);
  EXPECT_FALSE(m.has_aux_loss || m.grouped || m.routes_in_full);
}

/// A ring of context-parallel ranks computes every second step on a stream of its own, whose blocks the replay does not
/// keep apart: there what is allocated is off by up to 1.1 %. Those two records ran with a dropout of 0.1.
/// Ranks of pretrain_gpt.py, most with experts, over PyTorch's own allocator, each at its own commit. Under alltoall
/// the later Megatron of one row keeps 24 KiB more in every layer, and small blocks of a router lie otherwise where
/// they are scattered in order.
TEST(MegatronArguments, RequestsAreMet) {
  std::ifstream file(PEAKMEM_ROOT "/tests/data/megatron_arguments.jsonl");
  ASSERT_TRUE(file.good());
  int64_t close = 0;
  int64_t count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    const Result<Value> value = parse_json(line);
    ASSERT_TRUE(value);
    const Given given(&*value);
    SCOPED_TRACE(given.text("name"));
    const Gpu* gpu = find_gpu(given.text("gpu"));
    Result<mcore::Job> job = read_megatron_arguments(
        *given.find("args"), {given.size("world", 0), given.size("rank", 0), processor_of(*gpu)});
    ASSERT_TRUE(job);
    job->training.whole_batch = !given.text("megatron").ends_with("08-22");
    const Replayed replayed = replay(mcore::trace_rank(*job), {}, given.size("cublas_workspace", 0));
    const int64_t off = std::abs(replayed.peak.requested - given.size("requested", 0));
    EXPECT_LE(off, 147508);
    if (off <= 52) ++close;
    const auto allocated = static_cast<double>(given.size("allocated", 0));
    EXPECT_NEAR(static_cast<double>(replayed.peak.allocated), allocated, 0.011 * allocated);
  }
  EXPECT_EQ(count, 12);
  EXPECT_EQ(close, 11);
}

}  // namespace
}  // namespace peakmem
