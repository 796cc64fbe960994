#include "format/raw_unicode.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(RawUnicode, EscapesAndLatin1) {
  EXPECT_EQ(from_raw_unicode_escape("gpt2"), "gpt2");
  EXPECT_EQ(from_raw_unicode_escape("\xf6"), "ö");
  EXPECT_EQ(from_raw_unicode_escape("\\u20ac"), "€");
  EXPECT_EQ(from_raw_unicode_escape("\\U0001f600!"), "😀!");
}

TEST(RawUnicode, WhatIsNoWholeEscapeStays) {
  EXPECT_EQ(from_raw_unicode_escape("\\"), "\\");
  EXPECT_EQ(from_raw_unicode_escape("\\n"), "\\n");
  EXPECT_EQ(from_raw_unicode_escape("\\u20a"), "\\u20a");
  EXPECT_EQ(from_raw_unicode_escape("\\u20ag"), "\\u20ag");
}

}  // namespace
}  // namespace peakmem
