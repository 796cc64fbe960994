#include "size/terms.h"

#include <gtest/gtest.h>

#include <cmath>

#include "size/print.h"
#include "size/random_formula.h"

namespace peakmem {
namespace {

class TermsTest : public ::testing::Test {
 protected:
  Pool pool;
  Expr b = pool.symbol("B");
  Expr t = pool.symbol("T");
  Expr c = pool.symbol("C");
  Expr n = pool.symbol("N");
  SymbolValues values = {8, 1024, 768, 12};
};

TEST_F(TermsTest, LargestFirst) {
  const std::vector<Term> all = terms(3 * b * t + 12 * c * c + 5, values);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].coefficient, 12);
  EXPECT_DOUBLE_EQ(all[0].value, 12.0 * 768 * 768);
  EXPECT_DOUBLE_EQ(all[1].value, 3.0 * 8 * 1024);
  EXPECT_DOUBLE_EQ(all[2].value, 5);
  EXPECT_EQ(print(formula_of(all[0], pool)), "12·C²");
}

TEST_F(TermsTest, ByPowerWithoutValues) {
  const std::vector<Term> all = terms(1000 * b + b * t * c + b * t);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_TRUE(identical(formula_of(all[0], pool), b * t * c));
  EXPECT_TRUE(identical(formula_of(all[2], pool), 1000 * b));
}

TEST_F(TermsTest, Numbers) {
  EXPECT_TRUE(terms(0).empty());
  ASSERT_EQ(terms(7).size(), 1U);
  EXPECT_DOUBLE_EQ(terms(7)[0].value, 7);
  EXPECT_EQ(evaluate(7, {}), 7);
}

TEST_F(TermsTest, RealValuesNeedNotBeWhole) {
  EXPECT_DOUBLE_EQ(real_value(exact_div(t, 3 * b), values), 1024.0 / 24);
  EXPECT_DOUBLE_EQ(real_value(round_up(t + 1, 512), values), 1536);
  EXPECT_DOUBLE_EQ(real_value(most(b, t) + least(b, t), values), 1032);
  EXPECT_TRUE(std::isnan(real_value(t, {8})));
}

TEST_F(TermsTest, SimplifyKeepsItsShare) {
  const Expr e = 24 * b * t * c + 2 * b * t * ceil_div(t, 32) + 100 * c + 7;
  const Simplified rough = simplify(e, values, 0.001);
  EXPECT_EQ(print(rough.kept), "24·B·T·C + 2·B·T·⌈T/32⌉");
  EXPECT_EQ(rough.dropped, 2U);
  EXPECT_NEAR(rough.error, (100.0 * 768 + 7) / real_value(e, values), 1e-12);
  EXPECT_TRUE(identical(simplify(e, values, 0).kept, e));
  EXPECT_EQ(terms(simplify(e, values, 1).kept).size(), 1U);
  EXPECT_TRUE(identical(simplify(5, values, 0.5).kept, 5));
}

TEST_F(TermsTest, SimplifyDoesNotDropPairs) {
  const Expr e = 10 * b + 1000 * t - 1000 * c - 255000;  // 1080
  EXPECT_TRUE(identical(simplify(e, values, 0.05).kept, e));
  const Expr f = 100 * b + 3 * t * t - 3 * c * c;
  EXPECT_EQ(simplify(f, values, 0.01).dropped, 1U);
}

TEST_F(TermsTest, SimplifyHalves) {
  const Expr triangle = exact_div(t * (t + 1), 2);
  EXPECT_TRUE(identical(simplify(triangle, values, 0.01).kept, exact_div(t * t, 2)));
}

TEST_F(TermsTest, WithoutRounding) {
  EXPECT_TRUE(identical(without_rounding(512 * ceil_div(b * t, 512)), b * t));
  EXPECT_TRUE(identical(without_rounding(round_up(c * ceil_div(t, 32), 64) + 7), exact_div(c * t, 32) + 7));
  EXPECT_TRUE(identical(without_rounding(most(round_up(b, 8), round_up(t, 8))), most(b, t)));
  EXPECT_TRUE(identical(without_rounding(most(ceil_div(t, 32), c)), most(exact_div(t, 32), c)));
  EXPECT_TRUE(identical(without_rounding(7), 7));
}

TEST(TermsProperty, TermsAddUpAndRebuild) {
  std::mt19937 random(5);
  int whole = 0;
  for (int i = 0; i < 5000; ++i) {
    Pool pool;
    const Expr e = testing::Recipe(random, 1 + static_cast<int>(random() % 7)).cook(testing::symbols_of(pool));
    const SymbolValues values = testing::random_values(random);
    const int64_t value = evaluate(e, values);
    if (value == Expr::kNoNumber || std::abs(value) > 1 << 30) continue;
    ++whole;
    double sum = 0;
    double sizes = 1;
    for (const Term& term : terms(e, values)) {
      sum += term.value;
      sizes += std::fabs(term.value);
    }
    ASSERT_NEAR(sum, static_cast<double>(value), 1e-9 * sizes);
    ASSERT_NEAR(real_value(e, values), static_cast<double>(value), 1e-9 * sizes);
  }
  EXPECT_GT(whole, 2000);
}

TEST(TermsProperty, SimplifyStaysWithinItsShare) {
  std::mt19937 random(6);
  int dropped = 0;
  for (int i = 0; i < 5000; ++i) {
    Pool pool;
    const Expr e = testing::Recipe(random, 1 + static_cast<int>(random() % 7)).cook(testing::symbols_of(pool));
    const SymbolValues values = testing::random_values(random);
    const double value = real_value(e, values);
    if (!(value > 0) || value > 1e9) continue;
    const Simplified simple = simplify(e, values, 0.2);
    ASSERT_LE(std::fabs(simple.error), 0.2 + 1e-9);
    ASSERT_NEAR(real_value(simple.kept, values), value * (1 - simple.error), 1e-6 * value);
    if (simple.dropped > 0) ++dropped;
  }
  EXPECT_GT(dropped, 300);
}

}  // namespace
}  // namespace peakmem
