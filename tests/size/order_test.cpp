#include "size/order.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>

namespace peakmem {
namespace {

TEST(Order, EqualsKeepTheirOrder) {
  std::vector<std::string> words = {"ccc", "b", "aa", "a", "bbb"};
  sort_by(words, [](const std::string& word) { return static_cast<int64_t>(word.size()); });
  EXPECT_EQ(words, (std::vector<std::string>{"b", "a", "aa", "ccc", "bbb"}));
}

RC_GTEST_PROP(Order, IsThatOfTheLibrary, (std::vector<std::pair<int64_t, int>> rows)) {
  std::vector<std::pair<int64_t, int>> expected = rows;
  std::stable_sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  sort_by(rows, [](const auto& row) { return row.first; });
  RC_ASSERT(rows == expected);
}

}  // namespace
}  // namespace peakmem
