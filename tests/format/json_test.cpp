#include "format/json.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "format/json_writer.h"
#include "request/shipped.h"

namespace peakmem {
namespace {

Value parsed(std::string_view text) {
  Result<Value> result = parse_json(text);
  EXPECT_TRUE(result) << text << ": " << result.error().problem;
  return result ? *result : Value{};
}

Error refused(std::string_view text) {
  const Result<Value> result = parse_json(text);
  EXPECT_FALSE(result) << text;
  EXPECT_FALSE(result.error().problem.empty());
  return result.error();
}

std::string one_line(std::string_view text) { return to_json(parsed(text), 0); }

TEST(ParseJson, ReadsEveryKind) {
  EXPECT_TRUE(parsed("null").is_null());
  EXPECT_TRUE(parsed(" true ").boolean);
  EXPECT_EQ(parsed("-7").integer, -7);
  EXPECT_EQ(parsed("1e-5").real, 1e-5);
  EXPECT_EQ(parsed(R"("a\u00e9\n")").string, "a\u00e9\n");
  EXPECT_EQ(parsed("[1, [2], {}]").items.size(), 3U);
  EXPECT_EQ(parsed(R"({"a": {"b": 3}})").find("a")->find("b")->integer, 3);
}

TEST(ParseJson, IntegersAreAlsoReals) {
  EXPECT_EQ(parsed("12").kind, Value::Kind::kInteger);
  EXPECT_EQ(parsed("12").real, 12.0);
  EXPECT_EQ(parsed("12.0").kind, Value::Kind::kReal);
}

TEST(ParseJson, NumbersTooLargeForAnIntegerAreReal) {
  EXPECT_EQ(parsed("9223372036854775807").integer, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(parsed("-9223372036854775808").integer, std::numeric_limits<int64_t>::min());
  for (const char* text : {"9223372036854775808", "18446744073709551616", "-9223372036854775809"}) {
    EXPECT_EQ(parsed(text).kind, Value::Kind::kReal) << text;
    EXPECT_EQ(parsed(text).real, std::strtod(text, nullptr)) << text;
  }
}

TEST(ParseJson, KeepsOrderAndRepeatedNames) {
  const Value value = parsed(R"({"b": 1, "a": 2, "b": 3})");
  ASSERT_EQ(value.members.size(), 3U);
  EXPECT_EQ(value.members[0].name, "b");
  EXPECT_EQ(value.members[1].name, "a");
  EXPECT_EQ(value.find("b")->integer, 3);
}

TEST(ParseJson, ErrorsSayTheirPlace) {
  EXPECT_EQ(refused("").field, "line 1, column 1");
  EXPECT_EQ(refused("[1,\n 2,\n x]").field, "line 3, column 2");
  EXPECT_EQ(refused("{\"a\": 1,\n}").field, "line 2, column 1");
  EXPECT_EQ(refused("[1] 2").field, "line 1, column 5");
  EXPECT_EQ(refused("[\"\u00e9\u00e9\" x]").field, "line 1, column 7") << "columns are characters";
}

TEST(ParseJson, ErrorsSayWhatWasExpected) {
  EXPECT_EQ(refused("{\"a\" 1}").problem, "parsing object separator - unexpected number literal; expected ':'");
  EXPECT_EQ(refused("[1 2]").problem, "parsing array - unexpected number literal; expected ']'");
  EXPECT_EQ(refused("[tru]").problem, "parsing value - invalid literal");
}

TEST(ParseJson, HintsAtCommonMistakes) {
  EXPECT_NE(refused("{\"a\": NaN}").hint.find("JSON has no NaN"), std::string::npos);
  EXPECT_NE(refused("{\"a\": Infinity}").hint.find("no Infinity"), std::string::npos);
  EXPECT_NE(refused("{\"a\": -Infinity}").hint.find("no Infinity"), std::string::npos);
  EXPECT_NE(refused("{\"a\": True}").hint.find("lower case"), std::string::npos);
  EXPECT_NE(refused("{'a': 1}").hint.find("double quotes"), std::string::npos);
  EXPECT_NE(refused("[1, // one\n2]").hint.find("comments"), std::string::npos);
  EXPECT_NE(refused("[1, 2,]").hint.find("comma"), std::string::npos);
  EXPECT_NE(refused("[1, 2").hint.find("cut off"), std::string::npos);
}

TEST(ParseJson, RefusesWhatIsNoText) {
  EXPECT_NE(refused("\"\xff\"").problem.find("UTF-8"), std::string::npos);
  EXPECT_EQ(refused("\"\xff\"").problem.find('\xff'), std::string::npos) << "the message itself is text";
  refused(std::string_view("\0", 1));
  refused(std::string_view("[1\0]", 4));
  refused("\"\\ud800\"");
  refused("1e999");
}

TEST(ParseJson, RefusesWhatIsTooMuch) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  parsed(nested(kJsonMaxDepth));
  EXPECT_NE(refused(nested(kJsonMaxDepth + 1)).problem.find("deeper than 64"), std::string::npos);
  EXPECT_NE(refused(std::string(kJsonMaxBytes + 1, ' ')).problem.find("16 MiB"), std::string::npos);

  std::string many = "[0";
  for (size_t i = 2; i < kJsonMaxValues; ++i) many += ",0";  // with the list itself exactly the limit
  EXPECT_EQ(parsed(many + "]").items.size(), kJsonMaxValues - 1);
  EXPECT_NE(refused(many + ",0]").problem.find("1000000 values"), std::string::npos);
}

TEST(JsonWriter, WritesWhatWasRead) {
  const char* text = R"({"a":[1,-2.5,true,null,"x"],"b":{},"c":[],"a":"\"\\\n\u0001é"})";
  EXPECT_EQ(one_line(text), text);
}

TEST(JsonWriter, IndentsByTwo) {
  JsonWriter out;
  out.begin_object();
  out.member("peak", 6291456);
  out.key("rows");
  out.begin_list();
  out.value("a");
  out.value(false);
  out.end_list();
  out.key("none");
  out.begin_list();
  out.end_list();
  out.end_object();
  EXPECT_EQ(std::move(out).text(),
            "{\n"
            "  \"peak\": 6291456,\n"
            "  \"rows\": [\n"
            "    \"a\",\n"
            "    false\n"
            "  ],\n"
            "  \"none\": []\n"
            "}");
}

TEST(JsonWriter, WritesNumbersShortAndExact) {
  EXPECT_EQ(one_line("[0.1, 1e300, 2.0, 1e-5, 0.30000000000000004]"), "[0.1,1e+300,2.0,1e-05,0.30000000000000004]");
  JsonWriter out(0);
  out.begin_list();
  out.value(std::numeric_limits<double>::infinity());
  out.value(std::nan(""));
  out.value(std::numeric_limits<int64_t>::min());
  out.end_list();
  EXPECT_EQ(std::move(out).text(), "[null,null,-9223372036854775808]");
}

TEST(JsonWriter, ReplacesWhatIsNoUtf8) {
  for (const char* bytes :
       {"\xff", "\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    JsonWriter out;
    out.value(bytes);
    const std::string text = std::move(out).text();
    EXPECT_EQ(text.find("\"\uFFFD"), 0U) << text;
    parsed(text);
  }
}

RC_GTEST_PROP(JsonWriter, EveryStringReadsBack, (const std::string& bytes)) {
  JsonWriter out;
  out.value(bytes);
  const std::string text = std::move(out).text();
  const Result<Value> read = parse_json(text);
  RC_ASSERT(static_cast<bool>(read));
  RC_ASSERT(to_json(*read) == text);
}

RC_GTEST_PROP(JsonWriter, EveryNumberReadsBack, (double number)) {
  JsonWriter out;
  out.value(number);
  RC_ASSERT(parse_json(std::move(out).text())->real == number);
}

TEST(ShippedModels, AreJsonInOrderOfName) {
  std::string_view before;
  for (const ShippedFile& file : shipped_models()) {
    EXPECT_LT(before, file.name);
    before = file.name;
    EXPECT_EQ(parsed(file.text).kind, Value::Kind::kObject) << file.name;
  }
}

}  // namespace
}  // namespace peakmem
