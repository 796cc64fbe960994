#include "request/settled.h"

#include <gtest/gtest.h>

#include "estimate/estimate.h"
#include "request/named_config.h"
#include "request/request.h"

namespace peakmem {
namespace {

/// A model and how it is trained.
struct Asking {
  const char* model;
  OptionValues options;
};

const Asking kAskings[] = {
    {"gpt2", {}},
    {"gpt2", {{"precision", "bf16-mixed"}, {"trainer", "hf"}, {"accumulate", "3"}, {"clip-grad", ""}}},
    {"llama-3.1-8b", {{"precision", "bf16"}, {"kernels", "liger"}, {"optimizer-impl", "fused"}, {"use-cache", "yes"}}},
    {"llama-3.1-8b",
     {{"precision", "bf16"},
      {"quantize", "nf4"},
      {"double-quant", ""},
      {"lora-rank", "8"},
      {"lora-targets", "q_proj,v_proj"},
      {"lora-dropout", "0.05"},
      {"checkpointing", "full-reentrant"}}},
    {"qwen3-8b", {{"fsdp", "8"}, {"fsdp-param-dtype", "bf16"}, {"no-reshard-after-forward", ""}}},
    {"qwen3-8b", {{"hsdp", "2x4"}, {"precision", "bf16"}}},
    {"llama-3.1-8b",
     {{"zero", "2"},
      {"ranks", "8"},
      {"rank", "7"},
      {"precision", "bf16"},
      {"trainer", "hf"},
      {"reduce-bucket", "auto"},
      {"overlap-comm", "yes"},
      {"offload-optimizer", "pinned"}}},
    {"gpt2", {{"ddp", "4"}, {"bucket-mb", "50"}, {"accumulate", "2"}, {"no-sync", ""}}},
    {"gpt2", {{"freeze", "transformer.wte.*,transformer.h.0-3.*"}, {"keep-outputs", "no"}, {"init", "loaded"}}},
    {"gpt2", {{"eval-batch", "4"}, {"eval-batches", "3"}, {"eval-logits", ""}, {"trainer", "hf"}}},
    {"gpt2", {{"objective", "dpo"}, {"trainer", "trl"}, {"reference", "precomputed"}}},
    {"gpt2", {{"objective", "kto"}, {"trainer", "trl"}, {"lora-rank", "8"}, {"lora-targets", "c_attn"}}},
    {"gpt2", {{"objective", "reward"}, {"trainer", "trl"}, {"task", "sequence-classification"}}},
    {"t5-small", {{"seq", "64"}, {"target-seq", "16"}, {"optimizer", "adafactor"}}},
    {"bert-base-uncased", {{"task", "multiple-choice"}, {"choices", "3"}, {"attention", "eager"}}},
    {"mixtral-8x7b", {{"experts", "loop"}, {"precision", "bf16"}}},
    {"gpt2", {{"optimizer", "muon"}, {"muon-matrices", "all"}, {"rest-optimizer", "adamw"}}},
};

class Settled : public testing::TestWithParam<Asking> {};

// Options again with what a job came to, it is the same job: nothing is left to be taken for granted.
TEST_P(Settled, AskedAgainIsTheSameJob) {
  Result<NamedConfig> model = shipped_config(GetParam().model);
  ASSERT_TRUE(model) << model.error().problem;
  const Result<Request> first = make_request(&*model, GetParam().options, Command::kEstimate);
  ASSERT_TRUE(first) << first.error().field << ": " << first.error().problem;
  OptionValues settled = settled_options(first->job);
  for (const OptionValue& option : GetParam().options) {
    if (option.name == "task") settled.push_back(option);
    if (option.name != "task") {
      EXPECT_TRUE(Options(settled).has(said_by(option.name)[0])) << option.name;
    }
  }
  const Result<Request> second = make_request(&*model, settled, Command::kEstimate);
  ASSERT_TRUE(second) << second.error().field << ": " << second.error().problem;
  const OptionValues again = settled_options(second->job);
  ASSERT_EQ(again.size() + (Options(settled).has("task") ? 1 : 0), settled.size());
  for (const OptionValue& option : again) EXPECT_EQ(option.text, *Options(settled).text(option.name)) << option.name;
  const std::optional<AllocatorOptions> none;  // no replay: the tensors tell
  EXPECT_EQ(estimate(first->job, nullptr, none)->tensor_bytes, estimate(second->job, nullptr, none)->tensor_bytes);
}

INSTANTIATE_TEST_SUITE_P(Jobs, Settled, testing::ValuesIn(kAskings));

TEST(Settled, ShortNamesStandForSeveral) {
  EXPECT_EQ(said_by("precision"), (std::vector<std::string_view>{"precision", "autocast"}));
  EXPECT_EQ(said_by("kernels").size(), 4U);
  EXPECT_EQ(said_by("batch"), (std::vector<std::string_view>{"batch"}));
}

}  // namespace
}  // namespace peakmem
