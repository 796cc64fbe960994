#include "size/text.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(Text, IsTrimmedOfBlanksAroundIt) {
  EXPECT_EQ(trimmed("\t a b \r\n"), "a b");
  EXPECT_EQ(trimmed(" \n"), "");
  EXPECT_EQ(trimmed(""), "");
}

TEST(Text, IsLoweredLetterByLetter) { EXPECT_EQ(lower("Qwen2.5-32B É"), "qwen2.5-32b É"); }

TEST(Text, IsSplitAtEveryMark) {
  EXPECT_EQ(split("1, 2,,3 ", ','), (std::vector<std::string>{"1", "2", "", "3"}));
  EXPECT_EQ(split("", ','), std::vector<std::string>{""});
}

}  // namespace
}  // namespace peakmem
