#include "model/adapted_parameter.h"

#include <gtest/gtest.h>

#include <map>

#include "request/named_config.h"
#include "request/request.h"
#include "train/built_model.h"

namespace peakmem {
namespace {

constexpr std::string_view kMixtral = R"({"model_type": "mixtral", "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 4,
    "vocab_size": 90})";

Job job_of(const OptionValues& options) {
  const Result<NamedConfig> model = parse_config(kMixtral, "test");
  const Result<Request> request = make_request(&*model, options, Command::kEstimate);
  EXPECT_TRUE(request);
  return request->job;
}

using Names = std::vector<std::string>;

TEST(AdaptedParameter, HasTargetsWherePeftKnowsTheMixture) {
  ASSERT_NE(mixture_targets("mixtral", Transformers::kV523), nullptr);
  EXPECT_TRUE(mixture_targets("mixtral", Transformers::kV523)->has("w3"));
  EXPECT_EQ(mixture_targets("mixtral", Transformers::kV448), nullptr);
  EXPECT_EQ(mixture_targets("qwen2_moe", Transformers::kV523), nullptr);
  EXPECT_EQ(mixture_targets("llama", Transformers::kV523), nullptr);
}

TEST(AdaptedParameter, IsNamedAsTheModulesItOnceWas) {
  EXPECT_EQ(linear_modules(job_of({})), (Names{"q_proj", "k_proj", "v_proj", "o_proj", "gate", "w1", "w3", "w2"}));
}

// Of four experts with a width of 48: 2·r for the two that are fused.
TEST(AdaptedParameter, HasAPairOfEveryExpertsRank) {
  std::map<std::vector<int64_t>, int> shapes;
  const Job job = job_of({{"lora-rank", "3"}, {"lora-targets", "w1,w2,w3,gate"}});
  for (const BuiltParameter& parameter : parameters_of(job))
    if (parameter.trained) ++shapes[parameter.sizes];
  const std::map<std::vector<int64_t>, int> expected = {{{24, 32}, 2}, {{96, 24}, 2}, {{12, 48}, 2},
                                                        {{32, 12}, 2}, {{3, 32}, 2},  {{4, 3}, 2}};
  EXPECT_EQ(shapes, expected);
}

}  // namespace
}  // namespace peakmem
