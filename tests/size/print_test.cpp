#include "size/print.h"

#include <gtest/gtest.h>

#include "size/ascii_parser.h"
#include "size/random_formula.h"

namespace peakmem {
namespace {

/// Prints with symbols whose names are made in the order formulas usually show them.
class Print : public ::testing::Test {
 protected:
  static std::string ascii(Expr e) {
    return print(e, {.notation = Notation::kAscii, .letters = {}, .symbol_values = {}});
  }
  static std::string latex(Expr e) {
    return print(e, {.notation = Notation::kLatex, .letters = {}, .symbol_values = {}});
  }
  static std::string mathml(Expr e) {
    return print(e, {.notation = Notation::kMathml, .letters = {}, .symbol_values = {}});
  }

  Pool pool;
  Expr b = pool.symbol("B");
  Expr t = pool.symbol("T");
  Expr c = pool.symbol("C");
  Expr n = pool.symbol("N");
  Expr l = pool.symbol("L");
};

TEST_F(Print, Text) {
  EXPECT_EQ(print(24 * b * t * c * l + 2 * b * t * ceil_div(t, 32)), "24·B·T·C·L + 2·B·T·⌈T/32⌉");
  EXPECT_EQ(print(t * t + t * t * t * 3), "3·T³ + T²");
  EXPECT_EQ(print(b * t * ceil_div(t, 32) + b * t * c + t * t * t), "B·T·C + B·T·⌈T/32⌉ + T³");
  EXPECT_EQ(print(t * c + t * t), "T² + T·C");
  EXPECT_EQ(print(exact_div(b * c * t, n)), "B·T·C/N");
  EXPECT_EQ(print(exact_div(b * c, n * t)), "B·C/(T·N)");
  EXPECT_EQ(print(exact_div(t * (t + 1), 2)), "T²/2 + T/2");
  EXPECT_EQ(print(exact_div(7, t)), "7/T");
  EXPECT_EQ(print(b - 3 * t), "B - 3·T");
  EXPECT_EQ(print(1 - b * t), "-B·T + 1");
  EXPECT_EQ(print(8 * ceil_div(t + 1, n * b)), "8·⌈(T + 1)/(B·N)⌉");
  EXPECT_EQ(print(most(b, t) + least(b + c, 64 * t)), "max(B, T) + min(64·T, B + C)");
  EXPECT_EQ(print(3 * l * exact_div(c * c + 1, b + t)), "3·L·(C² + 1)/(B + T)");
  EXPECT_EQ(print(ceil_div(exact_div(c, n), 2)), "⌈(C/N)/2⌉");
  EXPECT_EQ(print(ceil_div(t, 32) * ceil_div(t, 32)), "⌈T/32⌉²");
  EXPECT_EQ(print(0), "0");
  EXPECT_EQ(print(-5), "-5");
  EXPECT_EQ(print(Expr::overflow()), "overflow");
  Expr power = t;
  for (int i = 1; i < 12; ++i) power *= t;
  EXPECT_EQ(print(power), "T¹²");
}

TEST_F(Print, Ascii) {
  EXPECT_EQ(ascii(24 * b * t * t + ceil_div(t, 32)), "24*B*T^2 + ceil(T/32)");
  EXPECT_EQ(ascii(exact_div(b, 2 * n)), "B/(2*N)");
}

TEST_F(Print, Latex) {
  EXPECT_EQ(latex(24 * b * t * c * l), "24\\,B\\,T\\,C\\,L");
  EXPECT_EQ(latex(b * ceil_div(t + 1, 32)), "B\\,\\left\\lceil \\frac{T + 1}{32} \\right\\rceil");
  EXPECT_EQ(latex(exact_div(c * t * t, n)), "\\frac{T^{2}\\,C}{N}");
  EXPECT_EQ(latex(most(b, t)), "\\max\\left(B, T\\right)");
}

TEST_F(Print, Mathml) {
  const std::string open = "<math xmlns=\"http://www.w3.org/1998/Math/MathML\">";
  EXPECT_EQ(mathml(2 * b * t), open + "<mn>2</mn><mo>·</mo><mi>B</mi><mo>·</mo><mi>T</mi></math>");
  EXPECT_EQ(mathml(t * t), open + "<msup><mrow><mi>T</mi></mrow><mn>2</mn></msup></math>");
  EXPECT_EQ(mathml(exact_div(c, n)), open + "<mfrac><mrow><mi>C</mi></mrow><mrow><mi>N</mi></mrow></mfrac></math>");
}

TEST_F(Print, LettersOfTheCaller) {
  const Letters letters = {{"B", "b"}, {"C", "d_model"}, {"L", "\\lambda"}, {"N", "a<b"}};
  const Expr e = b * c * l * n;
  EXPECT_EQ(print(b * c, {Notation::kText, letters, {}}), "b·d_model");
  EXPECT_EQ(print(e, {Notation::kLatex, letters, {}}), "b\\,d_{\\mathrm{model}}\\,\\mathrm{a<b}\\,\\lambda");
  EXPECT_NE(print(n, {Notation::kMathml, letters, {}}).find("<mi>a&lt;b</mi>"), std::string::npos);
  EXPECT_NE(print(c, {Notation::kMathml, letters, {}}).find("<msub><mi>d</mi><mi>model</mi></msub>"),
            std::string::npos);
}

TEST_F(Print, LatexEscapesNames) {
  const Letters letters = {{"B", "100%"}, {"T", "_"}, {"C", "C_"}};
  EXPECT_EQ(print(b, {Notation::kLatex, letters, {}}), "\\mathrm{100\\%}");
  EXPECT_EQ(print(t, {Notation::kLatex, letters, {}}), "\\mathrm{\\_}");
  EXPECT_EQ(print(c, {Notation::kLatex, letters, {}}), "\\mathrm{C\\_}");
}

TEST_F(Print, LargestTermFirst) {
  const Expr e = 12 * c * c + 2 * b * t;
  EXPECT_EQ(print(e, {Notation::kText, {}, {1, 1, 768, 12, 1}}), "12·C² + 2·B·T");
  EXPECT_EQ(print(e, {Notation::kText, {}, {512, 65536, 8, 1, 1}}), "2·B·T + 12·C²");
}

/// Every opened tag is closed in order.
bool balanced(const std::string& xml) {
  std::vector<std::string> open;
  for (size_t i = xml.find('<'); i != std::string::npos; i = xml.find('<', i + 1)) {
    const std::string tag = xml.substr(i + 1, xml.find_first_of(" >", i) - i - 1);
    if (tag.front() != '/') {
      open.push_back(tag);
    } else if (open.empty() || open.back() != tag.substr(1)) {
      return false;
    } else {
      open.pop_back();
    }
  }
  return open.empty();
}

TEST(PrintProperty, AsciiReadsBackAsTheSameValue) {
  std::mt19937 random(3);
  int compared = 0;
  for (int i = 0; i < 10000; ++i) {
    Pool pool;
    const Expr formula = testing::Recipe(random, 1 + static_cast<int>(random() % 7)).cook(testing::symbols_of(pool));
    const SymbolValues values = testing::random_values(random);
    const int64_t value = evaluate(formula, values);
    const std::map<std::string, int64_t> symbols = {
        {"B", values[0]}, {"T", values[1]}, {"C", values[2]}, {"N", values[3]}, {"L", values[4]}};
    if (value == Expr::kNoNumber || std::abs(value) > 1 << 24) continue;
    const std::string text = print(formula, {Notation::kAscii, {}, i % 2 == 0 ? values : SymbolValues{}});
    const auto read = testing::AsciiParser(text, symbols).parse();
    if (!read) continue;  // left 63 bits on its way
    ++compared;
    ASSERT_EQ(*read, (sparse::Fraction{value, 1})) << text;
  }
  EXPECT_GT(compared, 5000);
}

TEST(PrintProperty, MathmlIsWellFormed) {
  std::mt19937 random(4);
  for (int i = 0; i < 2000; ++i) {
    Pool pool;
    const Expr formula = testing::Recipe(random, 1 + static_cast<int>(random() % 7)).cook(testing::symbols_of(pool));
    const std::string text = print(formula, {Notation::kMathml, {}, {}});
    ASSERT_TRUE(balanced(text)) << text;
  }
}

}  // namespace
}  // namespace peakmem
