#include "train/built_model.h"

#include <gtest/gtest.h>

#include "request/named_config.h"
#include "request/request.h"

namespace peakmem {
namespace {

using Names = std::vector<std::string>;

Job job_of(std::string_view config, const OptionValues& options = {}) {
  const Result<NamedConfig> model = parse_config(config, "test");
  const Result<Request> request = make_request(&*model, options, Command::kEstimate);
  EXPECT_TRUE(request);
  return request->job;
}

constexpr std::string_view kLlama = R"({"model_type": "llama", "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 9, "num_attention_heads": 2, "vocab_size": 90, "tie_word_embeddings": false})";

// Without the head, which PEFT leaves alone where all linear layers are asked for.
TEST(BuiltModel, NamesItsLinearModulesOnce) {
  EXPECT_EQ(linear_modules(job_of(kLlama)),
            (Names{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}));
}

TEST(BuiltModel, NamesWhatCanBeCopiedOutsideOfItsLayers) {
  EXPECT_EQ(modules_to_save(job_of(kLlama)), (Names{"embed_tokens", "lm_head"}));
}

TEST(BuiltModel, FindsItsQuantizedLayers) {
  EXPECT_FALSE(quantizes_linear_layers(job_of(kLlama)));
  EXPECT_TRUE(
      quantizes_linear_layers(job_of(kLlama, {{"lora-rank", "4"}, {"lora-targets", "q_proj"}, {"quantize", "nf4"}})));
}

TEST(BuiltModel, HasEachParameterOfEachLayerWhereItIsUnrolled) {
  const Job job = job_of(kLlama);
  EXPECT_EQ(built(job, true).weights.size(), 9 * 9 + 3);
  EXPECT_TRUE(identical(built(job).parameters, built(job, true).parameters));
}

TEST(BuiltModel, DescribesItsParametersInTheOrderOfTheirNames) {
  const std::vector<BuiltParameter> all = parameters_of(job_of(kLlama, {{"freeze", "model.layers.0.*"}}));
  ASSERT_EQ(all.size(), 9 * 9 + 3);
  EXPECT_EQ(all[0].name, "model.embed_tokens.weight");
  EXPECT_EQ(all[0].sizes, (std::vector<int64_t>{90, 32}));
  EXPECT_TRUE(all[0].trained);
  EXPECT_EQ(all[5].name, "model.layers.0.mlp.gate_proj.weight");
  EXPECT_EQ(all[5].sizes, (std::vector<int64_t>{48, 32}));
  EXPECT_FALSE(all[5].trained);
  EXPECT_TRUE(all[14].trained);
}

}  // namespace
}  // namespace peakmem
