#include "size/nearest.h"

#include <gtest/gtest.h>

#include <array>

namespace peakmem {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"adamw", "sgd", "adafactor", "adamw_8bit", "lion", "llama"};

TEST(Nearest, Distance) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("ab", "ba"), 1U);
  EXPECT_EQ(edit_distance("AdamW", "adamw"), 0U);
  EXPECT_EQ(edit_distance("adamw-8bit", "adamw_8bit"), 0U);
}

TEST(Nearest, Slips) {
  EXPECT_EQ(nearest("adamv", kNames), "adamw");
  EXPECT_EQ(nearest("ADAMW", kNames), "adamw");
  EXPECT_EQ(nearest("lama", kNames), "llama");
  EXPECT_EQ(nearest("sdg", kNames), "sgd");
  EXPECT_EQ(nearest("adamw 8bits", kNames), "adamw_8bit");
}

TEST(Nearest, NoneIfTooFar) {
  EXPECT_EQ(nearest("muon", kNames), std::nullopt);
  EXPECT_EQ(nearest("", kNames), std::nullopt);
  EXPECT_EQ(nearest("x", kNames), std::nullopt);
  EXPECT_EQ(nearest(std::string(100000, 'a'), kNames), std::nullopt);
  EXPECT_EQ(nearest("adamw", {}), std::nullopt);
}

TEST(Nearest, FirstOfEquals) {
  constexpr std::array<std::string_view, 2> kEqual = {"gpt2", "gpt3"};
  EXPECT_EQ(nearest("gpt4", kEqual), "gpt2");
}

TEST(Nearest, Hints) {
  EXPECT_EQ(did_you_mean("lama", kNames), "did you mean \"llama\"?");
  EXPECT_EQ(did_you_mean("muon", kNames), "known: adamw, sgd, adafactor, adamw_8bit, lion, llama");
}

}  // namespace
}  // namespace peakmem
