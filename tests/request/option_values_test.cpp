#include "request/option_values.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace peakmem {
namespace {

TEST(ParseSize, TakesWholeNumbersOnly) {
  EXPECT_EQ(*parse_size("4096", "--seq"), 4096);
  EXPECT_EQ(*parse_size("4_096", "--seq"), 4096);
  EXPECT_EQ(*parse_size("9223372036854775807", "--seq"), INT64_MAX);
  for (const char* text :
       {"", "0", "-1", "+1", "1.5", "4q", "0x10", "1e3", " 1", "1 ", "_1", "1_", "9223372036854775808"})
    EXPECT_FALSE(parse_size(text, "--seq")) << text;
}

RC_GTEST_PROP(ParseSize, ReadsBackEverySize, ()) {
  const int64_t size = *rc::gen::inRange<int64_t>(1, INT64_MAX);
  RC_ASSERT(*parse_size(std::to_string(size), "--seq") == size);
}

TEST(ParseShare, TakesPercentsAndFractions) {
  EXPECT_DOUBLE_EQ(*parse_share("5%", "--simplify"), 0.05);
  EXPECT_DOUBLE_EQ(*parse_share("0.05", "--simplify"), 0.05);
  EXPECT_DOUBLE_EQ(*parse_share("0", "--simplify"), 0);
  for (const char* text : {"", "%", "x", "5", "100%", "-1%", "nan", "inf", "5 %"})
    EXPECT_FALSE(parse_share(text, "--simplify")) << text;
}

TEST(IsSymbol, IsALetterFirst) {
  EXPECT_TRUE(is_symbol("l"));
  EXPECT_TRUE(is_symbol("N_kv"));
  EXPECT_TRUE(is_symbol("\\ell"));
  EXPECT_FALSE(is_symbol("4"));
  EXPECT_FALSE(is_symbol("4k"));
  EXPECT_FALSE(is_symbol("a b"));
  EXPECT_FALSE(is_symbol(""));
}

}  // namespace
}  // namespace peakmem
