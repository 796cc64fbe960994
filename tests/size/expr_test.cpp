#include "size/expr.h"

#include <gtest/gtest.h>

#include <limits>

#include "size/random_formula.h"
#include "size/terms.h"

namespace peakmem {
namespace {

TEST(Expr, PowersOfTwoAreTheNextFromANumberOn) {
  EXPECT_EQ(power_of_two(1).number(), 1);
  EXPECT_EQ(power_of_two(5).number(), 8);
  EXPECT_EQ(power_of_two(8).number(), 8);
  EXPECT_EQ(power_of_two(-3).number(), 1);
  EXPECT_EQ(power_of_two((int64_t{1} << 61) - 1).number(), int64_t{1} << 61);
  EXPECT_TRUE(power_of_two((int64_t{1} << 61) + 1).overflowed());
  Pool pool;
  const Expr t = pool.symbol("T");
  EXPECT_TRUE(identical(power_of_two(t + 1), power_of_two(1 + t)));
  const Expr scaled = 4 * power_of_two(t);
  EXPECT_EQ(value_of(scaled, pool.evaluate({9})), 64);
}

constexpr int64_t kMax = -Expr::kNoNumber - 1;  // the largest number there is

template <class T>
concept Comparable = requires(T a) { a < 3; } || requires(T a) { a == a; } || requires(T a) { a ? 1 : 0; };
static_assert(!Comparable<Expr>, "which ops run may not depend on a size's value");

/// Symbols to write formulas with.
class Formulas : public ::testing::Test {
 protected:
  Pool pool;
  Expr b = pool.symbol("B");
  Expr t = pool.symbol("T");
  Expr c = pool.symbol("C");
  Expr n = pool.symbol("N");
};

TEST(ExprNumbers, FoldAtOnce) {
  EXPECT_EQ((2 * Expr(3) + 4 - 1).number(), 9);
  EXPECT_EQ(ceil_div(7, 2).number(), 4);
  EXPECT_EQ(ceil_div(-7, 2).number(), -3);
  EXPECT_EQ(exact_div(-6, 2).number(), -3);
  EXPECT_EQ(most(2, 3).number(), 3);
  EXPECT_EQ(least(2, 3).number(), 2);
  EXPECT_EQ(round_up(1000, 512).number(), 1024);
}

TEST(ExprNumbers, OverflowIsAValue) {
  EXPECT_EQ(Expr(kMax).number(), kMax);
  EXPECT_EQ(Expr(-kMax).number(), -kMax);
  EXPECT_TRUE(Expr(std::numeric_limits<int64_t>::max()).overflowed());
  EXPECT_TRUE(Expr(std::numeric_limits<int64_t>::min()).overflowed());
  EXPECT_TRUE((Expr(kMax) + 1).overflowed());
  EXPECT_TRUE((Expr(kMax) * 2).overflowed());
  EXPECT_TRUE((Expr(-kMax) - 1).overflowed());
  EXPECT_TRUE((Expr::overflow() * 0).overflowed());
  EXPECT_TRUE((Expr::overflow() - Expr::overflow()).overflowed());
  EXPECT_TRUE(exact_div(7, 2).overflowed());
  EXPECT_TRUE(exact_div(7, 0).overflowed());
  EXPECT_TRUE(exact_div(0, 0).overflowed());
  EXPECT_TRUE(ceil_div(7, 0).overflowed());
  EXPECT_TRUE(ceil_div(7, -1).overflowed());
  EXPECT_TRUE(ceil_div(Expr::overflow(), Expr::overflow()).overflowed());
  EXPECT_TRUE(exact_div(Expr::overflow(), Expr::overflow()).overflowed());
  EXPECT_TRUE(most(Expr::overflow(), 1).overflowed());
  EXPECT_TRUE(least(1, Expr::overflow()).overflowed());
  EXPECT_EQ(exact_div(-kMax, -1).number(), kMax);
}

TEST_F(Formulas, EqualOnesAreTheSame) {
  EXPECT_TRUE(identical(4 * b * t * c, c * b * 4 * t));
  EXPECT_TRUE(identical((b + t) * (b - t), b * b - t * t));
  EXPECT_TRUE(identical(pool.symbol("B"), b));
  EXPECT_FALSE(identical(b, t));
  EXPECT_FALSE(identical(b, b + 1));
}

TEST_F(Formulas, FoldToNumbers) {
  EXPECT_TRUE(identical(b - b, 0));
  EXPECT_TRUE(identical(b + 3 - b, 3));
  EXPECT_TRUE(identical(0 * b, 0));
  EXPECT_TRUE(identical(exact_div(6 * b, 2 * b), 3));
  EXPECT_TRUE(identical(ceil_div(b * t, b * t), 1));
}

TEST_F(Formulas, QuotientsCancel) {
  const Expr head = exact_div(c, n);
  const Expr half = exact_div(head, 2);
  EXPECT_TRUE(identical(head * n, c));
  EXPECT_TRUE(identical(half + half, head));
  EXPECT_TRUE(identical(head - half, half));
  EXPECT_TRUE(identical(exact_div(3 * c, 3), c));
  EXPECT_TRUE(identical(exact_div(exact_div(c, 2), 3), exact_div(c, 6)));
  EXPECT_TRUE(identical(exact_div((b + t) * c, b + t), c));
  EXPECT_TRUE(identical(exact_div((b + t) * c, c), b + t));
  const Expr ratio = exact_div(c * c + 1, b + t);
  EXPECT_TRUE(identical(ratio * (b + t), c * c + 1));
  EXPECT_TRUE(identical((b + t) * ratio * n * 5, 5 * n * (c * c + 1)));
}

TEST_F(Formulas, QuotientsMustComeOutWhole) {
  const Expr rows = exact_div(b + t, n);
  const Expr triangle = exact_div(t * (t + 1), 2);
  EXPECT_EQ(evaluate(rows, {3, 5, 1, 4}), 2);  // neither 3/4 nor 5/4 is an integer
  EXPECT_EQ(evaluate(rows, {3, 4, 1, 4}), Expr::kNoNumber);
  EXPECT_EQ(evaluate(triangle, {1, 7}), 28);
  EXPECT_EQ(evaluate(exact_div(t, 2) + 1, {1, 7}), Expr::kNoNumber);
  EXPECT_EQ(evaluate(exact_div(t, b + n), {1, 12, 1, 3}), 3);
  EXPECT_EQ(evaluate(exact_div(t, b - n), {3, 12, 1, 3}), Expr::kNoNumber);
  EXPECT_TRUE((exact_div(t + 1, 2) - exact_div(t, 2)).overflowed());  // 1/2 whatever T is
}

TEST_F(Formulas, CeilDivMovesOutWhatDivides) {
  EXPECT_TRUE(identical(ceil_div(b, 1), b));
  EXPECT_TRUE(identical(ceil_div(32 * t, 32), t));
  EXPECT_TRUE(identical(ceil_div(64 * b + t, 64), b + ceil_div(t, 64)));
  EXPECT_TRUE(identical(ceil_div(b * t, t), b));
  EXPECT_TRUE(identical(ceil_div(4 * t, 6), ceil_div(2 * t, 3)));
  EXPECT_TRUE(identical(ceil_div(0, t), 0));
  EXPECT_TRUE(ceil_div(t, 0).overflowed());
  const Expr quotient = ceil_div(exact_div(64 * c, n), 64);  // C/N alone need not be whole
  EXPECT_EQ(evaluate(quotient, {1, 1, 1, 2}), 1);
  EXPECT_EQ(evaluate(ceil_div(t, b - 1), {1, 7}), Expr::kNoNumber);
}

TEST_F(Formulas, MostAndLeastKnowWhatIsSure) {
  EXPECT_TRUE(identical(most(b, b), b));
  EXPECT_TRUE(identical(most(b, t), most(t, b)));
  EXPECT_TRUE(identical(most(4 * b * t, 2 * b * t), 4 * b * t));
  EXPECT_TRUE(identical(least(4 * b * t, 2 * b * t), 2 * b * t));
  EXPECT_TRUE(identical(most(b * t, t), b * t));
  EXPECT_TRUE(identical(most(b, 1), b));
  EXPECT_TRUE(most(b, 2).is_formula());
  EXPECT_EQ(evaluate(most(b, 2), {1}), 2);
}

TEST_F(Formulas, BoundsAreNeverGuessed) {
  EXPECT_TRUE(surely_at_least(b * t - t, 0));
  EXPECT_TRUE(surely_at_least(c * ceil_div(b, 8), c));
  EXPECT_TRUE(surely_at_least(3, 2));
  EXPECT_FALSE(surely_at_least(2, 3));
  EXPECT_FALSE(surely_at_least(b, t));
  EXPECT_FALSE(surely_at_least(2 * b * t - 2 * t - b, 0));  // -1 at B = T = 1
  EXPECT_FALSE(surely_at_least(exact_div(b * t, n), b));
  EXPECT_FALSE(surely_at_least(Expr::overflow(), 0));
}

TEST_F(Formulas, OverflowSpreads) {
  const Expr large = b * Expr(kMax);
  EXPECT_TRUE((large + large).overflowed());
  EXPECT_TRUE((large * 2).overflowed());
  EXPECT_TRUE((Expr::overflow() + b).overflowed());
  EXPECT_TRUE((b * Expr::overflow()).overflowed());
  EXPECT_EQ(evaluate(large, {1}), kMax);
  EXPECT_EQ(evaluate(large, {2}), Expr::kNoNumber);
  EXPECT_EQ(evaluate(ceil_div(large, 2) + 1, {2}), Expr::kNoNumber);
  EXPECT_EQ(evaluate(large - large * t, {1, 3}), Expr::kNoNumber);
  Expr power = b;
  for (int i = 0; i < 40; ++i) power = power * power;
  EXPECT_TRUE(power.overflowed());
}

TEST_F(Formulas, RunawayProductsStop) {
  Expr sum = 1;
  for (int i = 0; i < 400; ++i) sum += pool.symbol("s" + std::to_string(i));
  EXPECT_TRUE((sum * sum).overflowed());
}

TEST_F(Formulas, PoolsDoNotMix) {
  Pool other;
  EXPECT_TRUE((other.symbol("B") + b).overflowed());
  EXPECT_TRUE((other.symbol("B") * b).overflowed());
  EXPECT_TRUE(ceil_div(other.symbol("B"), b).overflowed());
  EXPECT_TRUE(exact_div(other.symbol("B"), b).overflowed());
  EXPECT_TRUE(most(other.symbol("B"), b).overflowed());
  EXPECT_FALSE(identical(other.symbol("B"), b));
}

TEST_F(Formulas, SymbolsHavePlaces) {
  EXPECT_EQ(pool.symbols(), 4U);
  EXPECT_EQ(pool.symbol_index("C"), 2);
  EXPECT_EQ(pool.symbol_index("nobody"), -1);
  EXPECT_EQ(evaluate(b + t, {1}), Expr::kNoNumber);     // T has no value
  EXPECT_EQ(evaluate(b + t, {1, 0}), Expr::kNoNumber);  // nor is zero one
  EXPECT_EQ(evaluate(b + t, {1, -5}), Expr::kNoNumber);
}

TEST_F(Formulas, PolynomialsShowDivisors) {
  const Polynomial half = polynomial_of(exact_div(3 * b, 2));
  ASSERT_EQ(half.size(), 1U);
  EXPECT_EQ(half.begin()->first.divisor, 2);
  EXPECT_EQ(half.begin()->second, 3);
  EXPECT_TRUE(polynomial_of(0).empty());
  EXPECT_EQ(polynomial_of(7).begin()->second, 7);
}

TEST_F(Formulas, EvaluateGivesAllAtOnce) {
  const Expr first = 24 * b * t * c;
  const Expr second = round_up(first, 512) + most(b * 100, t);
  std::vector<int64_t> values;
  pool.evaluate({8, 1023, 7, 1}, values);
  EXPECT_EQ(values.size(), pool.size());
  EXPECT_EQ(value_of(first, values), 24 * 8 * 1023 * 7);
  EXPECT_EQ(value_of(second, values), (24 * 8 * 1023 * 7 + 511) / 512 * 512 + 1023);
  EXPECT_EQ(value_of(5, values), 5);
  EXPECT_EQ(pool.evaluate({8, 1023, 7, 1}), values);
}

TEST(ExprProperty, NumberIsFormulaEvaluated) {
  std::mt19937 random(1);
  int compared = 0;
  for (int i = 0; i < 20000; ++i) {
    Pool pool;
    const testing::Recipe recipe(random, 1 + static_cast<int>(random() % 8));
    const Expr formula = recipe.cook(testing::symbols_of(pool));
    for (int j = 0; j < 4; ++j) {
      const SymbolValues values = testing::random_values(random);
      const Expr number = recipe.cook(testing::numbers_of(values));
      if (!number.is_number() || std::abs(number.number()) > int64_t{1} << 30) continue;
      ++compared;
      ASSERT_EQ(evaluate(formula, values), number.number()) << "recipe " << i;
    }
  }
  EXPECT_GT(compared, 20000);
}

TEST(ExprProperty, SureBoundsHold) {
  std::mt19937 random(2);
  int sure = 0;
  for (int i = 0; i < 20000; ++i) {
    Pool pool;
    const testing::Recipe left(random, 1 + static_cast<int>(random() % 5));
    const testing::Recipe right(random, 1 + static_cast<int>(random() % 3));
    const Expr a = left.cook(testing::symbols_of(pool));
    const Expr b = right.cook(testing::symbols_of(pool));
    if (!surely_at_least(a, b)) continue;
    const SymbolValues values = testing::random_values(random);
    const Expr x = left.cook(testing::numbers_of(values));
    const Expr y = right.cook(testing::numbers_of(values));
    if (!x.is_number() || !y.is_number()) continue;
    ++sure;
    ASSERT_GE(x.number(), y.number()) << "recipe " << i;
  }
  EXPECT_GT(sure, 500);
}

}  // namespace
}  // namespace peakmem
