#include "io/named_config.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(ShippedConfig, NamesMayBeShortWhereOnlyOneFits) {
  EXPECT_EQ(shipped_config("bert-large")->name, "bert-large-uncased");
  EXPECT_EQ(shipped_config("gpt2")->name, "gpt2");
  EXPECT_NE(shipped_config("bert-base").error().hint.find("bert-base-uncased"), std::string::npos);
  EXPECT_EQ(shipped_config("Qwen/Qwen3-8B").error().hint, "did you mean qwen3-8b?");
}

TEST(ParseConfig, SaysWhereTheTextIsBroken) {
  const Result<NamedConfig> broken = parse_config("{\n  \"a\": }", "x.json");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().field, "x.json");
  EXPECT_NE(broken.error().problem.find("line 2"), std::string::npos);
}

}  // namespace
}  // namespace peakmem
