#include "request/named_config.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(ShippedConfig, NamesMayBeShortWhereOnlyOneFits) {
  EXPECT_EQ(shipped_config("bert-large")->name, "bert-large-uncased");
  EXPECT_EQ(shipped_config("gpt2")->name, "gpt2");
  EXPECT_NE(shipped_config("bert-base").error().hint.find("bert-base-uncased"), std::string::npos);
  EXPECT_EQ(shipped_config("Qwen/Qwen3-8BB").error().hint, "did you mean qwen3-8b?");
}

TEST(ShippedConfig, IsFoundByItsIdOnTheHub) {
  EXPECT_EQ(shipped_config("Qwen/Qwen3-8B")->name, "qwen3-8b");
  EXPECT_EQ(shipped_config("Qwen/Qwen3-8B")->stands_for, "");
  EXPECT_EQ(shipped_config("META-LLAMA/meta-llama-3.1-8b")->name, "llama-3.1-8b");
  const Result<NamedConfig> distilled = shipped_config("deepseek-ai/deepseek-r1-distill-llama-8b");
  ASSERT_TRUE(distilled);  // a checkpoint that llama-3.1-8b's file names as of its shape
  EXPECT_EQ(distilled->name, "llama-3.1-8b");
  EXPECT_EQ(distilled->stands_for, "deepseek-ai/deepseek-r1-distill-llama-8b");
  EXPECT_EQ(shipped_config("QwQ-32B")->name, "qwen2.5-32b");
  EXPECT_EQ(shipped_config("unsloth/QwQ-32B-unsloth-bnb-4bit")->name, "qwen2.5-32b");
  EXPECT_FALSE(shipped_config("other/QwQ-32B-3"));
  const Result<NamedConfig> instruct = shipped_config("Llama-3.1-8B-Instruct");
  ASSERT_TRUE(instruct);
  EXPECT_EQ(instruct->name, "llama-3.1-8b");
  EXPECT_EQ(instruct->stands_for, "Llama-3.1-8B-Instruct");
  EXPECT_EQ(shipped_config("unsloth/Qwen3-8B-unsloth-bnb-4bit")->name, "qwen3-8b");
  EXPECT_EQ(shipped_config("TinyLlama/TinyLlama-1.1B-Chat-v1.0")->name, "tinyllama-1.1b");
  EXPECT_EQ(shipped_config("google-bert/bert-base-uncased")->name, "bert-base-uncased");
  for (const char* name : {"", "/", "instruct", "meta-llama/", "x/it", "Qwen/Qwen3-Embedding-8B"})
    EXPECT_FALSE(shipped_config(name)) << name;
}

TEST(ParseConfig, SaysWhereTheTextIsBroken) {
  const Result<NamedConfig> broken = parse_config("{\n  \"a\": }", "x.json");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().field, "x.json");
  EXPECT_NE(broken.error().problem.find("line 2"), std::string::npos);
}

}  // namespace
}  // namespace peakmem
