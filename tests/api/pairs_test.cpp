// Every pair of options, each with a value that means something: no pair crashes, and what is refused is refused in one
// line that names an option.
#include <gtest/gtest.h>

#include <map>

#include "api/question.h"
#include "request/request.h"

namespace peakmem {
namespace {

/// A value to try an option with: another than its default.
std::string value_of(const OptionRow& row) {
  static const std::map<std::string_view, std::string> texts = {{"lora-targets", "all-linear"},
                                                                {"lora-modules-to-save", "lm_head"},
                                                                {"lora-dropout", "0.1"},
                                                                {"freeze", "*bias"},
                                                                {"moe-imbalance", "2"},
                                                                {"hsdp", "2x2"},
                                                                {"headroom", "10%"},
                                                                {"alloc-conf", "expandable_segments:True"},
                                                                {"gpu", "t4"}};
  if (const auto text = texts.find(row.name); text != texts.end()) return text->second;
  if (row.kind == OptionKind::kFlag) return "true";
  if (row.kind == OptionKind::kSize) return "2";
  if (row.kind != OptionKind::kChoice) return "1";
  const std::vector<std::string_view> names = row.choices();
  return std::string(names.front() == row.otherwise ? names.back() : names.front());
}

bool is_one_line(const std::string& text) { return text.find('\n') == std::string::npos; }

void expect_good(const Error& error) {
  EXPECT_FALSE(error.field.empty()) << error.problem;
  EXPECT_FALSE(error.problem.empty()) << error.field;
  EXPECT_TRUE(is_one_line(error.field) && is_one_line(error.problem) && is_one_line(error.hint)) << error.problem;
}

/// Every pair is read, and every so many that make a job are answered.
void expect_answer(const NamedConfig& model, const OptionValues& values, bool whole) {
  const Result<Request> request = make_request(&model, values, Command::kEstimate);
  if (!request) return expect_good(request.error());
  if (!whole) return;
  const Result<Answer> answer = answer_estimate({{model, values}, {}, Form::kText, {}});
  if (!answer) return expect_good(answer.error());
  EXPECT_FALSE(answer->text.empty());
}

class Pairs : public testing::TestWithParam<const char*> {};

TEST_P(Pairs, OfOptionsAreAnsweredOrRefused) {
  const NamedConfig model = *parse_config(GetParam(), "test");
  constexpr int kEvery = 23;
  int count = 0;
  for (const OptionRow& a : option_rows())
    for (const OptionRow& b : option_rows()) {
      if (&b < &a || !takes(Command::kEstimate, a) || !takes(Command::kEstimate, b)) continue;
      OptionValues values = {{std::string(a.name), value_of(a)}};
      if (&a != &b) values.push_back({std::string(b.name), value_of(b)});
      if (&a != &b && a.name != "seq" && b.name != "seq") values.push_back({"seq", "16"});
      SCOPED_TRACE("--" + std::string(a.name) + " " + value_of(a) + " --" + std::string(b.name) + " " + value_of(b));
      expect_answer(model, values, ++count % kEvery == 0);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Options, Pairs,
    testing::Values(R"({"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
                        "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 100})",
                    R"({"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 2, "vocab_size": 100})",
                    R"({"model_type": "t5", "num_layers": 2, "d_model": 32, "num_heads": 2, "d_kv": 16, "d_ff": 64,
                        "vocab_size": 100})",
                    R"({"model_type": "mixtral", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
                        "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 100, "num_local_experts": 4,
                        "num_experts_per_tok": 2})"));

}  // namespace
}  // namespace peakmem
