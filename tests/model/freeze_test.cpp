#include "model/freeze.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(Freeze, StarsTakeAnyTextDotsToo) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("model.layers.*.weight", "model.layers.3.mlp.up_proj.weight"));
  EXPECT_TRUE(matches("*.mlp.*.weight", "model.mlp.mlp.up_proj.weight"));
  EXPECT_FALSE(matches("model.layers.*.bias", "model.layers.3.mlp.up_proj.weight"));
  EXPECT_FALSE(matches("model", "model.norm"));
  EXPECT_TRUE(matches("*a*b", "aab"));
  EXPECT_FALSE(matches("*a*b", "ba"));
}

TEST(Freeze, OneCharacterAndClasses) {
  EXPECT_TRUE(matches("h.?.ln", "h.4.ln"));
  EXPECT_FALSE(matches("h.?.ln", "h.14.ln"));
  EXPECT_TRUE(matches("h.[0-3].ln", "h.3.ln"));
  EXPECT_FALSE(matches("h.[0-3].ln", "h.4.ln"));
  EXPECT_TRUE(matches("h.[!0-3].ln", "h.4.ln"));
  EXPECT_TRUE(matches("h.1[02].ln", "h.12.ln"));
  EXPECT_TRUE(matches("a[]]b", "a]b"));
}

TEST(Freeze, NumbersBetweenDots) {
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(matches("model.layers.3-11.*", "model.layers." + std::to_string(i) + ".norm"), i >= 3 && i <= 11) << i;
  EXPECT_TRUE(matches("*.0-11", "h.7"));
  EXPECT_FALSE(matches("*.0-11", "h.7a"));
  EXPECT_FALSE(matches("*.0-11", "h.x"));
  EXPECT_TRUE(matches("0-1.*.3-4", "1.2.x.4"));
  EXPECT_TRUE(matches("a0-1", "a0-1"));  // no number of its own: the characters as they are
}

TEST(Freeze, SaysWhatIsWrongWithAPattern) {
  EXPECT_TRUE(check_pattern("", "--freeze"));
  EXPECT_TRUE(check_pattern("h.[0-3", "--freeze"));
  EXPECT_TRUE(check_pattern("h.[!]", "--freeze"));
  EXPECT_EQ(check_pattern("h.[0-11].*", "--freeze")->hint, "numbers from 0 to 11 are 0-11");
  EXPECT_FALSE(check_pattern("h.[0-9].*", "--freeze"));
}

}  // namespace
}  // namespace peakmem
