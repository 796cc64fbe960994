#include <gtest/gtest.h>

#include "size/print.h"
#include "size/random_formula.h"
#include "size/terms.h"

namespace peakmem {
namespace {

using Kind = Crossing::Kind;

class CrossingTest : public ::testing::Test {
 protected:
  /// The value found, -1 for never and -2 for unknown.
  int64_t found(Expr x, Expr y, int64_t low = 1, int64_t high = int64_t{1} << 40) const {
    const Crossing answer = crossing(x, y, "T", {8, 0, 768}, low, high);
    return answer.kind == Kind::kAt ? answer.value : answer.kind == Kind::kNever ? -1 : -2;
  }

  Pool pool;
  Expr b = pool.symbol("B");
  Expr t = pool.symbol("T");
  Expr c = pool.symbol("C");
};

TEST_F(CrossingTest, OneRoot) {
  EXPECT_EQ(found(t, 100), 100);
  EXPECT_EQ(found(2 * t * t, 1000 * t + 5 * c), 504);
  EXPECT_EQ(found(b * t * c, int64_t{80} << 30), ((int64_t{80} << 30) + 6143) / 6144);
  EXPECT_EQ(found(t * t, 10 * t), 10);
}

TEST_F(CrossingTest, Roundings) {
  EXPECT_EQ(found(round_up(t, 512), 1000), 513);
  EXPECT_EQ(found(b * ceil_div(t, 32), 64), 225);
}

TEST_F(CrossingTest, FallingAndConstant) {
  EXPECT_EQ(found(100, t), 1);
  EXPECT_EQ(found(100, t, 100), 100);
  EXPECT_EQ(found(100, t, 101), -1);
  EXPECT_EQ(found(b, 8), 1);
  EXPECT_EQ(found(b, 9), -1);
  EXPECT_EQ(found(2, 1), 1);
}

TEST_F(CrossingTest, Edges) {
  EXPECT_EQ(found(t, 100, 1, 99), -1);
  EXPECT_EQ(found(t, 100, 200, 300), 200);
  EXPECT_EQ(found(t, 100, 300, 200), -1);
  EXPECT_EQ(found(t, 100, -5, 200), 100);
  EXPECT_EQ(found(t, Expr::overflow()), -2);
  EXPECT_EQ(found(t * t * t * t * t, Expr(7), 1, int64_t{1} << 60), 2);  // the fifth power leaves 63 bits
}

TEST_F(CrossingTest, SeveralRootsAreTriedOrUnknown) {
  const Expr x = t * t * t + 11 * t;
  const Expr y = 6 * t * t + 6;  // x - y is (T - 1)(T - 2)(T - 3)
  EXPECT_EQ(found(x, y, 1, 1000), 1);
  EXPECT_EQ(found(x, y + 1, 1, 1000), 4);
  EXPECT_EQ(found(x, y + 1), -2);
}

TEST(CrossingProperty, IsTheFirst) {
  std::mt19937 random(8);
  int found = 0;
  for (int i = 0; i < 4000; ++i) {
    Pool pool;
    const testing::Recipe left(random, 1 + static_cast<int>(random() % 4));
    const testing::Recipe right(random, 1 + static_cast<int>(random() % 4));
    const Expr a = left.cook(testing::symbols_of(pool));
    const Expr b = right.cook(testing::symbols_of(pool));
    SymbolValues values = testing::random_values(random);
    const Crossing answer = crossing(a, b, "T", values, 1, 60);
    if (answer.kind == Kind::kUnknown) continue;
    const int64_t end = answer.kind == Kind::kAt ? answer.value : 61;
    for (values[1] = 1; values[1] <= end; ++values[1]) {
      const Expr x = left.cook(testing::numbers_of(values));
      const Expr y = right.cook(testing::numbers_of(values));
      if (!x.is_number() || !y.is_number() || values[1] > 60) continue;
      ++found;
      ASSERT_EQ(x.number() >= y.number(), values[1] == end) << print(a) << " >= " << print(b) << " at " << values[1];
    }
  }
  EXPECT_GT(found, 10000);
}

}  // namespace
}  // namespace peakmem
