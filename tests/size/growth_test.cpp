#include <gtest/gtest.h>

#include <algorithm>

#include "size/print.h"
#include "size/random_formula.h"
#include "size/terms.h"

namespace peakmem {
namespace {

class GrowthTest : public ::testing::Test {
 protected:
  Pool pool;
  Expr b = pool.symbol("B");
  Expr t = pool.symbol("T");
  Expr c = pool.symbol("C");
  Expr n = pool.symbol("N");
  Expr l = pool.symbol("L");
};

TEST_F(GrowthTest, Directions) {
  EXPECT_EQ(growth(b * t + 7, "B"), Growth::kUp);
  EXPECT_EQ(growth(b * t + 7, "C"), Growth::kNone);
  EXPECT_EQ(growth(b * t + 7, "nobody"), Growth::kNone);
  EXPECT_EQ(growth(7, "B"), Growth::kNone);
  EXPECT_EQ(growth(7 - b, "B"), Growth::kDown);
  EXPECT_EQ(growth(exact_div(c, n), "N"), Growth::kDown);
  EXPECT_EQ(growth(exact_div(c, n), "C"), Growth::kUp);
  EXPECT_EQ(growth(ceil_div(c, n) * 4, "N"), Growth::kDown);
  EXPECT_EQ(growth(ceil_div(c, n) * n, "N"), Growth::kUnknown);
  EXPECT_EQ(growth(most(b, 8) + least(b, 64), "B"), Growth::kUp);
  EXPECT_EQ(growth(most(b, ceil_div(c, b)), "B"), Growth::kUnknown);
  EXPECT_EQ(growth(exact_div(c * c + b, t + n), "T"), Growth::kDown);
  EXPECT_EQ(growth(exact_div(c * c + b, t + n), "B"), Growth::kUp);
}

TEST_F(GrowthTest, FactorsThatDoNotMoveMayBeDifferences) {
  EXPECT_EQ(growth((l - 1) * b * t + 512 * ceil_div(b * t, 512), "B"), Growth::kUp);
  EXPECT_EQ(growth((1 - l) * b, "B"), Growth::kDown);
  EXPECT_EQ(growth((l - n) * b, "B"), Growth::kUnknown);
  EXPECT_EQ(growth(b * exact_div(t * (t + 1), 2), "B"), Growth::kUp);
  EXPECT_EQ(growth(b * exact_div(t * (t - 1), 2), "B"), Growth::kUp);
  EXPECT_EQ(growth(most(b - t, 3 - t), "T"), Growth::kDown);
}

TEST_F(GrowthTest, Degrees) {
  EXPECT_EQ(degree(b * t * t + t, "T").power, 2);
  EXPECT_FALSE(degree(b * t * t + t, "T").approximate);
  EXPECT_EQ(degree(b * t * ceil_div(t, 32), "T").power, 2);
  EXPECT_TRUE(degree(b * t * ceil_div(t, 32), "T").approximate);
  EXPECT_EQ(degree(ceil_div(c, t), "T").power, 0);
  EXPECT_EQ(degree(exact_div(c, n), "N").power, -1);
  EXPECT_EQ(degree(most(t * t, b), "T").power, 2);
  EXPECT_EQ(degree(least(t * t, b), "T").power, 0);
  EXPECT_EQ(degree(exact_div(t * t, t + 1), "T").power, 1);
  EXPECT_EQ(degree(b, "T").power, 0);
  EXPECT_FALSE(degree(b * ceil_div(c, 32), "T").approximate);
  EXPECT_EQ(degree(7, "T").power, 0);
}

TEST(GrowthProperty, NeverContradictsTwoEvaluations) {
  std::mt19937 random(7);
  int known = 0;
  for (int i = 0; i < 20000; ++i) {
    Pool pool;
    const testing::Recipe recipe(random, 1 + static_cast<int>(random() % 6));
    const Expr e = recipe.cook(testing::symbols_of(pool));
    const Growth up = growth(e, "T");
    for (int j = 0; j < 4; ++j) {
      SymbolValues low = testing::random_values(random);
      SymbolValues high = low;
      high[1] += 1 + static_cast<int64_t>(random() % 30);
      const Expr x = recipe.cook(testing::numbers_of(low));
      const Expr y = recipe.cook(testing::numbers_of(high));
      if (!x.is_number() || !y.is_number() || up == Growth::kUnknown) continue;
      ++known;
      ASSERT_TRUE(up == Growth::kDown || x.number() <= y.number()) << print(e);
      ASSERT_TRUE(up == Growth::kUp || x.number() >= y.number()) << print(e);
    }
  }
  EXPECT_GT(known, 10000);
}

}  // namespace
}  // namespace peakmem
