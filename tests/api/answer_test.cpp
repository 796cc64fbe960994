#include "api/answer.h"

#include <gtest/gtest.h>

#include <set>

#include "api/question.h"
#include "format/json.h"

namespace peakmem {
namespace {

Value read(const std::string& text) {
  const Result<Value> value = parse_json(text);
  EXPECT_TRUE(value) << text;
  return value ? *value : Value{};
}

/// The member at a path of names, such as "peak.tensor_bytes".
Value at(Value value, std::string_view path) {
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    const Value* found = value.find(path.substr(0, dot));
    EXPECT_NE(found, nullptr) << path;
    if (found == nullptr) return {};
    value = Value(*found);
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return value;
}

Value answered(std::string_view request) { return read(answer(request)); }
std::string refused(std::string_view request) { return at(answered(request), "error.field").string; }

TEST(Answer, SaysWhyARequestCannotBeRead) {
  EXPECT_EQ(answer("{\"model\": }"),
            "{\"error\":{\"field\":\"line 1, column 11\","
            "\"problem\":\"parsing value - unexpected '}'; expected '[', '{', or a literal\","
            "\"hint\":\"remove the comma before it, or add what is missing\"}}");
}

TEST(Answer, IsWhatTheCommandAnswers) {
  const Question question = {{*shipped_config("gpt2"), {{"batch", "4"}, {"clip-grad", "true"}, {"seq", "512"}}}};
  EXPECT_EQ(answer(R"({"model": "gpt2", "options": {"batch": 4, "clip-grad": true, "seq": "512", "gpu": null}})"),
            answer_estimate(question)->text);
}

TEST(Answer, EveryCommandAnswers) {
  for (const CommandRow& row : command_rows()) {
    const std::string name(row.name);
    const bool table = row.command == Command::kTable;
    const std::string options = row.command == Command::kSolve       ? R"({"for": "batch", "gpu": "t4"})"
                                : row.command == Command::kSweep     ? R"({"over": "layers", "values": [1, 2]})"
                                : name == "advise" || name == "time" ? R"({"gpu": "a100-80gb"})"
                                : name == "plan"    ? R"({"gpus": "1xa100-80gb", "global-batch": 1, "seq": 128})"
                                : name == "explain" ? R"({"message": "Tried to allocate 2.00 MiB. "})"
                                                    : "{}";
    const std::string subject = R"("model": "gpt2", "options": )" + options;
    const std::string asked = table ? ""
                              : row.command == Command::kCompare
                                  ? R"(, "a": {)" + subject + R"(}, "b": {)" + subject + "}"
                                  : ", " + subject;
    for (const char* format : {"json", "text"}) {
      const Value response = answered(R"({"command": ")" + name + R"(", "format": ")" + format + "\"" + asked + "}");
      if (row.answer == nullptr)
        EXPECT_EQ(at(response, "error.field").string, "command") << name;
      else
        EXPECT_EQ(at(response, "schema").string,
                  name == "trace" && format == std::string("json") ? "peakmem-trace/1" : "peakmem/1")
            << name;
    }
  }
}

TEST(Answer, TakesAConfigByAName) {
  const Value config =
      answered(R"({"command": "config", "name": "mine", "model": {"model_type": "gpt2", "n_layer": 3}})");
  EXPECT_EQ(at(config, "model").string, "mine");
  EXPECT_EQ(at(config, "config.layers").integer, 3);
  EXPECT_EQ(at(config, "config.hidden").integer, 768);
}

TEST(Answer, TheDifferencesOfACompareSumToThatOfThePeaks) {
  const Value response = answered(
      R"({"command": "compare", "a": {"model": "gpt2"}, "b": {"model": "llama-3.2-1b", "options": {"batch": 1}}})");
  int64_t sum = 0;
  for (const Value& row : at(response, "compare.ledger").items) {
    EXPECT_NE(at(row, "difference_bytes").integer, 0);
    sum += at(row, "difference_bytes").integer;
  }
  EXPECT_EQ(sum, at(response, "compare.difference.allocated_bytes").integer);
  EXPECT_EQ(at(response, "compare.a.peak.allocated_bytes").integer + sum,
            at(response, "compare.b.peak.allocated_bytes").integer);
}

TEST(Answer, ASweepsPointIsAnEstimate) {
  const Value response = answered(
      R"({"command": "sweep", "model": "gpt2", "options": {"over": "heads", "values": [6, 7, 8], "gpu": "t4"}})");
  const std::vector<Value> points = at(response, "sweep.points").items;
  ASSERT_EQ(points.size(), 3U);
  EXPECT_EQ(at(points[1], "error.field").string, "n_head");
  const Value estimate = answered(R"({"model": "gpt2", "options": {"heads": 8, "gpu": "t4"}})");
  for (const char* level : {"tensor_bytes", "allocated_bytes", "device_bytes"})
    EXPECT_EQ(at(points[2], level).integer, at(estimate, std::string("peak.") + level).integer) << level;
  int64_t sum = 0;
  for (const Member& category : at(points[2], "categories").members) sum += category.value.integer;
  EXPECT_EQ(sum, at(points[2], "allocated_bytes").integer);
  EXPECT_EQ(at(points[2], "textbook_bytes").items.size(), at(response, "sweep.textbook").items.size());
}

TEST(Answer, TheTermsOfThePeakKnowTheirRows) {
  for (const std::string subject :
       {R"("model": "gpt2")", R"("model": "llama-3.2-1b", "options": {"precision": "bf16", "attention": "eager"})"}) {
    std::set<std::string> of_rows;
    const Value report = answered("{" + subject + "}");
    for (const Value& row : at(report, "ledger").items)
      for (const Value& monomial : at(row, "monomials").items) of_rows.insert(monomial.string);
    std::set<std::string> of_terms = {"1"};  // rounding and workspaces are in no formula
    const Value formula = answered(R"({"command": "formula", )" + subject + "}");
    for (const Value& term : at(formula, "formula.terms").items) {
      of_terms.insert(at(term, "monomial").string);
      EXPECT_TRUE(at(term, "mathml").string.starts_with("<math")) << at(term, "formula").string;
    }
    EXPECT_EQ(of_rows, of_terms) << subject;
  }
}

TEST(Answer, TheCategoriesSumToThePeak) {
  const Value report = answered(R"({"model": "qwen3-0.6b"})");
  int64_t sum = 0;
  for (const Member& category : at(report, "categories").members) sum += category.value.integer;
  EXPECT_EQ(sum, at(report, "peak.allocated_bytes").integer);
}

TEST(Answer, ATimelineIsAPictureToo) {
  const Value picture = answered(R"({"command": "timeline", "format": "svg", "model": "gpt2"})");
  EXPECT_TRUE(at(picture, "text").string.starts_with("<svg"));
  const Value timeline = answered(R"({"command": "timeline", "model": "gpt2"})");
  const Value points = at(timeline, "timeline.points");
  EXPECT_EQ(at(points, "event").items.size(), at(points, "bytes").items.size());
  EXPECT_GT(at(points, "bytes").items.size(), 100U);
}

TEST(Answer, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(refused("[]"), "request");
  EXPECT_EQ(refused(R"({"modle": "gpt2"})"), "modle");
  EXPECT_EQ(refused(R"({"command": "estimat"})"), "command");
  EXPECT_EQ(refused(R"({"format": "svg", "model": "gpt2"})"), "format");
  EXPECT_EQ(refused(R"({"model": 3})"), "model");
  EXPECT_EQ(refused(R"({"model": "gpt2", "options": {"batch": {}}})"), "--batch");
  EXPECT_EQ(refused(R"({"model": "gpt2", "options": []})"), "options");
  EXPECT_EQ(refused(R"({"model": "gpt2", "name": 3})"), "name");
  EXPECT_EQ(refused(R"({"command": "timeline", "model": "gpt2", "options": {"svg": "a.svg"}})"), "--svg");
  EXPECT_EQ(refused(R"({"command": "gpus", "model": "gpt2"})"), "gpt2");
  EXPECT_EQ(refused(R"({"command": "compare", "a": {"model": "gpt2"}})"), "b");
  EXPECT_EQ(refused(R"({"command": "compare", "model": "gpt2"})"), "model");
  EXPECT_EQ(refused(R"({"command": "sweep", "model": "gpt2", "options": {"over": "batch"}})"), "--values");
  EXPECT_EQ(refused(R"({"command": "sweep", "model": "gpt2", "options": {"over": "batch", "values": "1,,2"}})"),
            "--values");
  EXPECT_EQ(
      refused(R"({"command": "sweep", "model": "gpt2", "options": {"over": "batch", "values": [1], "batch": 2}})"),
      "--batch");
  EXPECT_EQ(
      refused(R"({"model": "gpt2", "options": {"reserved": "bounds", "alloc-conf": "expandable_segments:True"}})"),
      "--alloc-conf");
}

TEST(Answer, AModelMayBeATrace) {
  const std::string trace =
      R"({"schema": "peakmem-trace/1", "model": "tiny", "letters": [{"name": "B", "value": 8, "option": "batch"}],
          "scopes": [[-1, ""]], "storages": [["64*B", "mm", 0, 0, "activations", "float32"]], "events": [1, -1],
          "segments": [[0, 2, 0]], "phases": [[1, 0, "forward", 0, 1], [2, 0, "forward", 0, 1]]})";
  const auto ask = [&](const std::string& options) {
    return answer(R"({"model": )" + trace + R"(, "options": )" + options + "}", shipped_config);
  };
  EXPECT_NE(ask("{}").find(R"("tensor_bytes": 512)"), std::string::npos);
  EXPECT_NE(ask(R"({"batch": 16})").find(R"("tensor_bytes": 1024)"), std::string::npos);
  EXPECT_NE(ask(R"({"at": "B=16"})").find(R"("tensor_bytes": 1024)"), std::string::npos);
  EXPECT_NE(ask(R"({"precision": "bf16"})").find("is not for a trace"), std::string::npos);
}

}  // namespace
}  // namespace peakmem
