#include "size/wording.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace peakmem {
namespace {

TEST(Wording, QuotesTheBeginning) {
  EXPECT_EQ(in_quotes(""), "\"\"");
  EXPECT_EQ(in_quotes("gpt2"), "\"gpt2\"");
  EXPECT_EQ(in_quotes(std::string(60, 'a') + "b"), "\"" + std::string(60, 'a') + "\"");
}

TEST(Wording, Lists) {
  EXPECT_EQ(list_of(std::vector<std::string>{}), "");
  EXPECT_EQ(list_of(std::vector<std::string>{"bert"}), "bert");
  EXPECT_EQ(list_of(std::array<std::string_view, 3>{"bert", "gpt2", "llama"}), "bert, gpt2, llama");
}

}  // namespace
}  // namespace peakmem
