#include "request/stored_weights.h"

#include <gtest/gtest.h>

#include "format/json.h"

namespace peakmem {
namespace {

NamedConfig model_with(const char* quantization) {
  const Result<Value> config =
      parse_json(std::string(R"({"model_type": "llama", "quantization_config": )") + quantization + "}");
  return named_config(*config, "llama");
}

/// What is said of a config, as `nf4 double`; the field of what is refused.
std::string said(NamedConfig model, const OptionValues& options = {}) {
  std::vector<std::string> assumptions;
  const Result<OptionValues> all = stored_options(model, options, assumptions);
  if (!all) return all.error().field;
  const std::string* format = Options(*all).text("quantize");
  EXPECT_EQ(model.config.find("quantization_config"), nullptr);
  EXPECT_EQ(assumptions.size(), format == nullptr || !options.empty() ? 0U : 1U);
  return format == nullptr ? "" : *format + (Options(*all).flag("double-quant") ? " double" : "");
}

TEST(StoredWeights, AreAsBitsandbytesConfigSays) {
  EXPECT_EQ(
      said(model_with(R"({"load_in_4bit": true, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true})")),
      "nf4 double");
  EXPECT_EQ(said(model_with(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})")), "fp4");  // the default
  EXPECT_EQ(said(model_with(R"({"_load_in_8bit": true, "llm_int8_skip_modules": ["lm_head"]})")), "int8");
  EXPECT_EQ(said(model_with(R"({"load_in_4bit": false})")), "");
}

TEST(StoredWeights, AnOptionStandsInTheirPlace) {
  EXPECT_EQ(said(model_with(R"({"load_in_8bit": true})"), {{"quantize", "nf4"}}), "nf4");
}

TEST(StoredWeights, OtherWaysAreRefusedByName) {
  EXPECT_EQ(said(model_with(R"({"quant_method": "gptq", "bits": 4})")), "quantization_config");
  EXPECT_EQ(said(model_with(R"({"load_in_4bit": true, "bnb_4bit_quant_type": "int4"})")),
            "quantization_config.bnb_4bit_quant_type");
  EXPECT_EQ(said(model_with(R"({"load_in_8bit": true, "llm_int8_skip_modules": ["q_proj"]})")),
            "quantization_config.llm_int8_skip_modules");
  EXPECT_EQ(said(model_with(R"({"load_in_4bit": true, "bnb_4bit_quant_storage": "bfloat16"})")),
            "quantization_config.bnb_4bit_quant_storage");
}

TEST(StoredWeights, ANameSaysThemToo) {
  NamedConfig model = {
      .name = "llama-3.1-8b", .config = {}, .recording = nullptr, .stands_for = "unsloth/Llama-3.1-8B-bnb-4bit"};
  EXPECT_EQ(said(model), "nf4 double");
  model.stands_for = "meta-llama/Llama-3.1-8B-Instruct";
  EXPECT_EQ(said(model), "");
}

}  // namespace
}  // namespace peakmem
