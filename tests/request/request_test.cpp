#include "request/request.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "request/shipped.h"

namespace peakmem {
namespace {

NamedConfig config(std::string_view text) {
  Result<NamedConfig> parsed = parse_config(text, "test");
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : NamedConfig{};
}

Request asked(std::string_view text, const OptionValues& values, Command command = Command::kEstimate) {
  const NamedConfig model = config(text);
  const Result<Request> request = make_request(&model, values, command);
  EXPECT_TRUE(request) << request.error().field << ": " << request.error().problem;
  return request ? *request : Request{};
}

Request bare(const OptionValues& values, Command command = Command::kEstimate) {
  const Result<Request> request = make_request(nullptr, values, command);
  EXPECT_TRUE(request) << request.error().field << ": " << request.error().problem;
  return request ? *request : Request{};
}

std::string refused(std::string_view text, const OptionValues& values) {
  const NamedConfig model = config(text);
  const Result<Request> request = make_request(&model, values, Command::kEstimate);
  EXPECT_FALSE(request);
  return request ? "" : request.error().field;
}

bool assumes(const Request& request, std::string_view beginning) {
  return std::any_of(request.assumptions.begin(), request.assumptions.end(),
                     [&](const std::string& line) { return line.starts_with(beginning); });
}

constexpr std::string_view kGpt2Text = R"({"model_type": "gpt2"})";
constexpr std::string_view kLlamaText = R"({"model_type": "llama"})";
constexpr std::string_view kBertText = R"({"model_type": "bert"})";

TEST(Request, HasTheDefaultsAndSaysSo) {
  const Request request = asked(kGpt2Text, {});
  const Recipe& recipe = request.job.recipe;
  EXPECT_EQ(recipe.batch, 8);
  EXPECT_EQ(recipe.seq, 1024);
  EXPECT_EQ(recipe.accumulate, 1);
  EXPECT_EQ(recipe.weights, DType::kFloat32);
  EXPECT_FALSE(recipe.autocast);
  EXPECT_EQ(recipe.attention, Attention::kSdpa);
  EXPECT_EQ(recipe.checkpointing, Checkpointing::kNone);
  EXPECT_EQ(recipe.optimizer, find_optimizer("adamw"));
  EXPECT_EQ(recipe.impl, OptimizerImpl::kForeach);
  EXPECT_FALSE(recipe.clip);
  EXPECT_EQ(request.gpu, nullptr);
  for (const char* line :
       {"task: causal-lm", "batch: 8", "seq: 1024", "precision: fp32", "attention: sdpa", "optimizer: adamw"})
    EXPECT_TRUE(assumes(request, line)) << line;
}

TEST(Request, WhatIsAskedForIsNoAssumption) {
  const Request request = asked(kGpt2Text, {{"batch", "2"},
                                            {"seq", "64"},
                                            {"precision", "bf16-mixed"},
                                            {"attention", "eager"},
                                            {"checkpointing", "full"},
                                            {"optimizer", "sgd"},
                                            {"optimizer-impl", "loop"},
                                            {"accumulate", "4"},
                                            {"clip-grad", ""},
                                            {"task", "causal-lm"},
                                            {"keep-outputs", "no"},
                                            {"init", "loaded"},
                                            {"gpu", "t4"}});
  EXPECT_TRUE(request.assumptions.empty()) << request.assumptions[0];
  EXPECT_EQ(request.job.recipe.batch, 2);
  EXPECT_EQ(request.job.recipe.accumulate, 4);
  EXPECT_EQ(request.job.recipe.weights, DType::kFloat32);
  EXPECT_EQ(request.job.recipe.autocast, DType::kBFloat16);
  EXPECT_EQ(request.job.recipe.impl, OptimizerImpl::kLoop);
  EXPECT_TRUE(request.job.recipe.clip);
  EXPECT_EQ(request.gpu, find_gpu("t4"));
}

TEST(Request, SequencesEndWithALearnedTableOnly) {
  EXPECT_EQ(asked(kBertText, {}).job.recipe.seq, 512);
  EXPECT_EQ(refused(kBertText, {{"seq", "513"}}), "--seq");
  EXPECT_EQ(refused(kGpt2Text, {{"seq", "1025"}}), "--seq");
  EXPECT_EQ(asked(kLlamaText, {{"seq", "100000"}}).warnings.size(), 1U);
}

TEST(Request, ClassifiersOfDecodersNeedPadding) {
  EXPECT_EQ(refused(kGpt2Text, {{"task", "sequence-classification"}}), "--batch");
  asked(kGpt2Text, {{"task", "sequence-classification"}, {"batch", "1"}});
  asked(R"({"model_type": "gpt2", "pad_token_id": 0})", {{"task", "sequence-classification"}});
  asked(kBertText, {{"task", "sequence-classification"}});
}

TEST(Request, TaskIsThatOfTheArchitecture) {
  const Request request = asked(R"({"model_type": "bert", "architectures": ["BertForSequenceClassification"]})", {});
  EXPECT_EQ(request.job.description.task, Task::kSequenceClassification);
  EXPECT_TRUE(assumes(request, "task: sequence-classification, from the config"));
}

TEST(Request, ImplementationsMustBeThere) {
  EXPECT_EQ(refused(kGpt2Text, {{"optimizer", "rmsprop"}, {"optimizer-impl", "fused"}}), "--optimizer-impl");
  EXPECT_EQ(asked(kGpt2Text, {{"optimizer", "hf-adafactor"}}).job.recipe.impl, OptimizerImpl::kLoop);
}

TEST(Request, FieldsThatNobodyReadsAreOneWarning) {
  const Request request = asked(R"({"model_type": "gpt2", "apple": 1, "pear": 2})", {});
  ASSERT_EQ(request.warnings.size(), 1U);
  EXPECT_NE(request.warnings[0].find("apple, pear"), std::string::npos);
}

TEST(Request, ModelsWithoutAConfig) {
  const Request gpt = bare({{"layers", "12"}, {"heads", "12"}, {"hidden", "768"}, {"seq", "4096"}});
  EXPECT_EQ(gpt.job.description.positions, 4096);
  EXPECT_EQ(gpt.job.description.ffn, 3072);
  EXPECT_TRUE(assumes(gpt, "positions"));
  const Request llama = bare(
      {{"layers", "2"}, {"heads", "8"}, {"hidden", "512"}, {"family", "llama"}, {"kv-heads", "2"}, {"ffn", "999"}});
  EXPECT_EQ(llama.job.description.kv_heads, 2);
  EXPECT_EQ(llama.job.description.ffn, 999);
  const Request mistral = bare({{"layers", "2"}, {"heads", "4"}, {"hidden", "512"}, {"family", "mistral"}});
  EXPECT_EQ(mistral.job.description.kv_heads, 4);
}

TEST(Request, SizesTakeThePlaceOfTheConfigsOwn) {
  const Request gpt2 = asked(R"({"model_type": "gpt2", "hidden_size": 1024})", {{"layers", "2"}, {"hidden", "768"}});
  EXPECT_EQ(gpt2.job.description.layers, 2);
  EXPECT_EQ(gpt2.job.description.hidden, 768);
  EXPECT_TRUE(assumes(gpt2, "layers: 2 in place of the default"));
  EXPECT_TRUE(assumes(gpt2, "hidden: 768 in place of 1024"));
  const Request t5 = asked(R"({"model_type": "t5", "num_decoder_layers": 6})", {{"layers", "3"}, {"head-dim", "32"}});
  EXPECT_EQ(t5.job.description.layers, 3);
  EXPECT_EQ(t5.job.description.decoder_layers, 3);
  EXPECT_EQ(t5.job.description.head_dim, 32);
  const Request llama = asked(kLlamaText, {{"kv-heads", "8"}, {"vocab", "1000"}});
  EXPECT_EQ(llama.job.description.kv_heads, 8);
  EXPECT_EQ(llama.job.description.vocab, 1000);
}

TEST(Request, WhatALiveConfigSaysWithNullsIsUnderstood) {
  EXPECT_TRUE(assumes(asked(R"({"model_type": "gpt2", "architectures": null, "chunk_size_feed_forward": 0})", {}),
                      "task: causal-lm, the family's usual one"));
  EXPECT_EQ(refused(R"({"model_type": "llama", "chunk_size_feed_forward": 2})", {}), "chunk_size_feed_forward");
  asked(R"({"model_type": "gemma2", "use_bidirectional_attention": null})", {});
  const Request t5 = asked(R"({"model_type": "t5", "tie_word_embeddings": true, "scale_decoder_outputs": false})", {});
  EXPECT_FALSE(t5.job.description.scaled_head);
}

TEST(Request, ALayersKindsAreMadeAnewForOtherLayers) {
  constexpr std::string_view kQwen =
      R"({"model_type": "qwen3", "num_hidden_layers": 1, "layer_types": ["full_attention"]})";
  EXPECT_TRUE(assumes(asked(kQwen, {{"layers", "40"}}), "layer_types: as transformers makes them"));
}

TEST(Request, SizesAFamilyDoesNotHaveAreRefused) {
  EXPECT_EQ(refused(kGpt2Text, {{"kv-heads", "2"}}), "--kv-heads");
  EXPECT_EQ(refused(kBertText, {{"head-dim", "2"}}), "--head-dim");
  EXPECT_EQ(refused(R"({"model_type": "vit"})", {{"vocab", "2"}}), "--vocab");
  EXPECT_EQ(refused(kGpt2Text, {{"heads", "7"}}), "n_head");
  EXPECT_EQ(refused(kGpt2Text, {{"family", "llama"}}), "--family");
  EXPECT_FALSE(make_request(nullptr, {}, Command::kEstimate));
  EXPECT_FALSE(make_request(nullptr, {{"layers", "2"}}, Command::kEstimate));
}

TEST(Request, SymbolsBecomeLetters) {
  const Request request = bare({{"layers", "l"}, {"heads", "h"}, {"hidden", "d"}, {"seq", "t"}}, Command::kFormula);
  EXPECT_EQ(request.letters.at("L"), "l");
  EXPECT_EQ(request.letters.at("N"), "h");
  EXPECT_EQ(request.letters.at("C"), "d");
  EXPECT_EQ(request.letters.at("T"), "t");
  EXPECT_EQ(request.letters.at("B"), "b");
  EXPECT_EQ(request.letters.at("P"), "t");  // the table is as long as the sequence
  EXPECT_EQ(request.job.description.layers, 12);
}

TEST(Request, SymbolsTakeValuesThatGoTogether) {
  EXPECT_EQ(bare({{"layers", "l"}, {"heads", "h"}, {"hidden", "1000"}}, Command::kFormula).job.description.hidden,
            1000);
  EXPECT_EQ(bare({{"layers", "l"}, {"heads", "7"}, {"hidden", "d"}}, Command::kFormula).job.description.hidden, 448);
}

TEST(Request, LettersMayBeChosen) {
  const Request request = asked(kGpt2Text, {{"letters", "T=s,C=h"}}, Command::kFormula);
  EXPECT_EQ(request.letters, (Letters{{"T", "s"}, {"C", "h"}}));
}

TEST(ShippedConfig, AllMakeRequests) {
  for (const ShippedFile& file : shipped_models()) {
    const Result<NamedConfig> model = shipped_config(file.name);
    ASSERT_TRUE(model) << file.name;
    const Result<Request> request = make_request(&*model, {}, Command::kEstimate);
    ASSERT_TRUE(request) << file.name << ": " << request.error().problem;
    EXPECT_LE(request->warnings.size(), 1U) << file.name;  // a field or two that their model does not read
  }
}

}  // namespace
}  // namespace peakmem
