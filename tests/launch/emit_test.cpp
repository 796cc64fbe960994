#include "launch/emit.h"

#include <gtest/gtest.h>

#include "estimate/estimate.h"
#include "request/request.h"

namespace peakmem {
namespace {

using Lines = std::vector<std::string>;

/// A file that is written: as whose, of what, and lines that it has.
struct Writing {
  const char* format;
  const char* model;
  OptionValues options;
  Lines lines;
};

const Writing kWritings[] = {
    {"trl",
     "llama-3.1-8b",
     {{"precision", "bf16"}, {"batch", "1"}, {"seq", "4096"}, {"lora-rank", "16"}, {"lora-targets", "all-linear"}},
     {"model_name_or_path: meta-llama/Meta-Llama-3.1-8B", "max_length: 4096", "lora_r: 16", "bf16: false"}},
    {"trl",
     "qwen2.5-7b",
     {{"precision", "bf16"}, {"quantize", "nf4"}, {"lora-rank", "8"}, {"lora-targets", "q_proj,v_proj"}, {"ddp", "4"}},
     {"load_in_4bit: true", "lora_target_modules: [q_proj, v_proj]"}},
    {"hf",
     "gpt2",
     {{"precision", "bf16-mixed"}, {"batch", "4"}, {"seq", "512"}, {"ddp", "4"}, {"checkpointing", "full"}},
     {"torchrun --nproc_per_node 4 train.py \\", R"(  --gradient_checkpointing_kwargs '{"use_reentrant":false}' \)"}},
    {"hf", "gpt2", {{"optimizer", "adamw-8bit"}, {"clip-grad", ""}}, {"  --optim adamw_bnb_8bit \\"}},
    {"axolotl",
     "qwen3-8b",
     {{"precision", "bf16"}, {"checkpointing", "full"}, {"kernels", "liger"}, {"optimizer-impl", "fused"}},
     {"base_model: Qwen/Qwen3-8B", "optimizer: adamw_torch_fused",
      "plugins: [axolotl.integrations.liger.LigerPlugin]"}},
    {"llamafactory",
     "qwen2.5-7b",
     {{"precision", "bf16"}, {"autocast", "bf16"}, {"lora-rank", "8"}, {"lora-targets", "all-linear"}},
     {"finetuning_type: lora", "lora_rank: 8", "disable_gradient_checkpointing: true"}},
    {"swift", "qwen2.5-7b", {{"precision", "bf16"}, {"batch", "2"}, {"seq", "1024"}}, {"swift sft \\"}},
    {"accelerate",
     "qwen2.5-7b",
     {{"fsdp", "8"}, {"fsdp-param-dtype", "bf16"}, {"fsdp-reduce-dtype", "bf16"}},
     {"num_processes: 8", "  fsdp_version: 2"}},
    {"deepspeed",
     "llama-3.1-8b",
     {{"zero", "2"}, {"ranks", "8"}, {"precision", "bf16"}, {"batch", "1"}, {"offload-optimizer", "pageable"}},
     {"    \"stage\": 2,", "      \"pin_memory\": false"}},
    {"deepspeed",
     "llama-3.1-8b",
     {{"zero", "3"},
      {"ranks", "8"},
      {"precision", "bf16"},
      {"batch", "1"},
      {"prefetch-bucket", "0"},
      {"max-reuse-distance", "1000000"},
      {"offload-parameters", "pinned"}},
     {"    \"stage\": 3,", "    \"stage3_prefetch_bucket_size\": 0,", "    \"stage3_max_reuse_distance\": 1000000,"}},
    {"trl", "qwen2.5-7b", {{"zero", "1"}, {"ranks", "4"}, {"precision", "bf16"}, {"batch", "1"}}, {"bf16: false"}},
    {"trl",
     "qwen2.5-7b",
     {{"objective", "dpo"}, {"reference", "precomputed"}, {"precision", "bf16"}, {"batch", "1"}, {"seq", "2048"}},
     {"beta: 0.1", "precompute_ref_log_probs: true"}},
    {"trl", "qwen2.5-7b", {{"objective", "orpo"}, {"batch", "1"}, {"seq", "2048"}, {"ddp", "4"}}, {"max_length: 2048"}},
    {"trl",
     "qwen2.5-7b",
     {{"objective", "orpo"}, {"precision", "bf16"}, {"completion", "512"}, {"seq", "2048"}},
     {"max_length: 2048"}},
    {"trl", "qwen2.5-7b", {{"objective", "cpo"}, {"precision", "bf16"}, {"seq", "2048"}}, {"cpo_alpha: 1.0"}},
    {"trl",
     "qwen2.5-7b",
     {{"objective", "simpo"}, {"batch", "2"}, {"seq", "2048"}, {"checkpointing", "full"}},
     {"cpo_alpha: 0.0", "loss_type: simpo"}},
    {"trl",
     "qwen2.5-7b",
     {{"objective", "grpo"}, {"completion", "256"}, {"precision", "bf16"}, {"batch", "2"}, {"seq", "1024"}},
     {"max_completion_length: 256"}},
    {"trl",
     "qwen2.5-7b",
     {{"objective", "grpo"},
      {"sampler", "vllm"},
      {"reference", "adapter"},
      {"lora-rank", "16"},
      {"lora-targets", "all-linear"},
      {"precision", "bf16"},
      {"batch", "2"},
      {"seq", "1024"}},
     {"beta: 0.04", "use_vllm: true", "max_completion_length: 512"}},
    {"trl",
     "qwen2.5-7b",
     {{"objective", "reward"}, {"task", "sequence-classification"}, {"precision", "bf16"}, {"seq", "1024"}},
     {"max_length: 1024"}},
    {"trl",
     "qwen2.5-7b",
     {{"objective", "dpo"}, {"zero", "2"}, {"ranks", "8"}, {"precision", "bf16"}, {"batch", "1"}, {"seq", "2048"}},
     {"beta: 0.1"}},
    {"accelerate", "gpt2", {{"ddp", "4"}, {"precision", "bf16-mixed"}}, {"distributed_type: MULTI_GPU"}},
};

std::ostream& operator<<(std::ostream& stream, const Writing& writing) {
  return stream << writing.format << " of " << writing.model;
}

Result<Emitted> emitted(const Writing& writing) {
  const Result<NamedConfig> model = shipped_config(writing.model);
  return emit_launch({writing.format, *model, writing.options}, "file.yaml", shipped_config);
}

class Emit : public testing::TestWithParam<Writing> {};

// Written, read again: what was asked is there, and the bytes are those of the question.
TEST_P(Emit, IsReadAsWhatWasAsked) {
  const Writing& writing = GetParam();
  const Result<Emitted> file = emitted(writing);
  ASSERT_TRUE(file) << file.error().field << ": " << file.error().problem;
  for (const std::string& line : writing.lines)
    EXPECT_NE(("\n" + file->text).find("\n" + line + "\n"), std::string::npos) << line << " in\n" << file->text;
  OptionValues asked = writing.options;
  const std::string* trainer = Options(file->launch.options).text("trainer");
  if (trainer != nullptr) asked.push_back({"trainer", *trainer});
  const Result<NamedConfig> model = shipped_config(writing.model);
  const Result<Request> ours = make_request(&*model, asked, Command::kEstimate);
  const Result<Request> read = make_request(&file->launch.model, file->launch.options, Command::kEstimate);
  ASSERT_TRUE(ours && read);
  if (!file->instead.empty()) return;  // the tool has something that was not asked
  EXPECT_EQ(estimate(ours->job, nullptr, ours->allocator)->tensor_bytes,
            estimate(read->job, nullptr, read->allocator)->tensor_bytes);
}

INSTANTIATE_TEST_SUITE_P(Writings, Emit, testing::ValuesIn(kWritings));

TEST(Emit, RefusesWhatTheFormatCannotBeTold) {
  const auto field = [](const Writing& writing) {
    const Result<Emitted> file = emitted(writing);
    return file ? std::string("written") : file.error().field;
  };
  EXPECT_EQ(field({"hf", "gpt2", {{"optimizer", "radam"}}, {}}), "--optimizer");
  EXPECT_EQ(field({"hf", "gpt2", {{"layers", "3"}}, {}}), "--layers");
  EXPECT_EQ(field({"trl", "gpt2", {{"freeze", "transformer.wte.*"}}, {}}), "--freeze");
  EXPECT_EQ(field({"llamafactory", "gpt2", {{"quantize", "nf4"}}, {}}), "--quantize");
  EXPECT_EQ(field({"trll", "gpt2", {}, {}}), "FORMAT");
}

}  // namespace
}  // namespace peakmem
