#include "size/parse.h"

#include <gtest/gtest.h>

#include "size/copy.h"
#include "size/print.h"
#include "size/random_formula.h"

namespace peakmem {
namespace {

constexpr std::array<std::string_view, 5> kLetters = {"B", "T", "C", "N", "L"};

std::string problem_of(std::string_view text) {
  Pool pool;
  const Result<Expr> formula = parse_formula(text, pool, kLetters);
  return formula ? "" : formula.error().field + ": " + formula.error().problem;
}

TEST(Parse, GivesWhatTheTextSays) {
  Pool pool;
  const auto parsed = [&](std::string_view text) { return *parse_formula(text, pool, kLetters); };
  const Expr b = pool.symbol("B");
  const Expr t = pool.symbol("T");
  EXPECT_TRUE(identical(parsed("7"), 7));
  EXPECT_TRUE(identical(parsed(" 4*B * T^2/2 - (B+1)"), exact_div(4 * b * t * t, 2) - b - 1));
  EXPECT_TRUE(identical(parsed("ceil((T + 1)/32)*128"), 128 * ceil_div(t + 1, 32)));
  EXPECT_TRUE(identical(parsed("ceil_div(T, 8)"), ceil_div(t, 8)));
  EXPECT_TRUE(identical(parsed("max(B, T) + min(B, 3) + pow2(B*T)"), most(b, t) + least(b, 3) + power_of_two(b * t)));
  EXPECT_TRUE(identical(parsed("B/T*T"), b));
  EXPECT_TRUE(identical(parsed("-B + 2*B"), b));
  EXPECT_TRUE(identical(parsed("6/2/3"), 1));
}

TEST(Parse, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(problem_of("4*X"), "column 3: has \"X\", which is no letter here");
  EXPECT_EQ(problem_of("floor(B)"), "column 8: wants a , here");
  EXPECT_EQ(problem_of("round(B, 2)"), "column 1: has \"round\", which is no function here");
  EXPECT_EQ(problem_of("B B"), "column 3: is no formula from \"B\" on");
  EXPECT_EQ(problem_of(""), "column 1: ends too early");
  EXPECT_EQ(problem_of("B^17"), "column 5: has a power above 16");
  EXPECT_EQ(problem_of("B^-1"), "column 3: wants a number here");
  EXPECT_EQ(problem_of("9223372036854775807"), "column 1: has a number past 2^62");
  EXPECT_NE(problem_of("B/0"), "");
  EXPECT_NE(problem_of("3/2"), "");
  EXPECT_NE(problem_of("ceil(B/0)"), "");
  EXPECT_NE(problem_of("ceil_div(B, 0)"), "");
  EXPECT_NE(problem_of("4611686018427387903*B*4"), "");
  EXPECT_NE(problem_of("(B+T+C+N+L)^16"), "");
  EXPECT_NE(problem_of(std::string(5000, '(')), "");
  EXPECT_NE(problem_of(std::string(4000, '(')), "");
  EXPECT_NE(problem_of(std::string("B\0", 2)), "");
}

// A sum over a sum is divided when it is read, so that such quotients may come back in another form: of the same value.
TEST(Parse, ReadsBackWhatPrintWrites) {
  std::mt19937 random(11);
  int read = 0;
  for (int i = 0; i < 3000; ++i) {
    Pool pool;
    const Expr formula = testing::Recipe(random, 8).cook(testing::symbols_of(pool));
    const std::string text = print(formula, {.notation = Notation::kAscii, .letters = {}, .symbol_values = {}});
    if (formula.overflowed() || text.size() > kFormulaMaxText) continue;
    const Result<Expr> back = parse_formula(text, pool, kLetters);
    if (!back) continue;
    ++read;
    const SymbolValues values = testing::random_values(random);
    const int64_t value = evaluate(formula, values);
    if (value != Expr::kNoNumber) {
      EXPECT_EQ(evaluate(*back, values), value) << text;
    }
    if (text.find(")/") == std::string::npos && text.find("/(") == std::string::npos) {
      EXPECT_TRUE(identical(*back, formula)) << text;
    }
  }
  EXPECT_GT(read, 2000);
}

TEST(Copy, IsTheSameFormulaInAnotherPool) {
  std::mt19937 random(12);
  int overflowed = 0;  // coefficients near 2^62
  for (int i = 0; i < 2000; ++i) {
    Pool pool;
    Pool other;
    const Expr formula = testing::Recipe(random, 8).cook(testing::symbols_of(pool));
    if (!formula.is_formula()) continue;
    const std::vector<Expr> copies = copy_formulas(pool, testing::symbols_of(other));
    const Expr copy = copies[static_cast<size_t>(formula.node())];
    if (!copy.overflowed()) {
      EXPECT_EQ(print(copy), print(formula));
    }
    overflowed += copy.overflowed() ? 1 : 0;
  }
  EXPECT_LT(overflowed, 20);
}

}  // namespace
}  // namespace peakmem
