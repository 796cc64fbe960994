#include "size/notation.h"

#include <utility>

namespace peakmem {
namespace {

/// Digits raised: 12 is ¹².
std::string superscript(int64_t exponent) {
  static constexpr const char* kDigits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string raised;
  for (const char digit : std::to_string(exponent)) raised += kDigits[digit - '0'];
  return raised;
}

/// `N_kv` is N and kv; without something on both sides of the first `_` there is no index.
std::pair<std::string, std::string> split_index(const std::string& letters) {
  const size_t split = letters.find('_');
  if (split == std::string::npos || split == 0 || split + 1 == letters.size()) return {letters, ""};
  return {letters.substr(0, split), letters.substr(split + 1)};
}

/// One line of Unicode text.
class TextWriter : public Writer {
 public:
  std::string symbol(const std::string& letters) const override { return letters; }
  std::string number(int64_t value) const override { return std::to_string(value); }
  std::string parentheses(const std::string& inner) const override { return "(" + inner + ")"; }
  std::string times() const override { return "·"; }
  std::string power(const std::string& base, int64_t exponent) const override { return base + superscript(exponent); }
  std::string quotient(const Piece& numerator, const Piece& divisor) const override {
    return inside(numerator, Piece::Kind::kProduct) + "/" + inside(divisor, Piece::Kind::kFactor);
  }
  std::string ceiling(const std::string& inner) const override { return "⌈" + inner + "⌉"; }
  std::string call(const std::string& name, const std::string& left, const std::string& right) const override {
    return name + "(" + left + ", " + right + ")";
  }
  std::string power_of_two(const std::string& inner) const override { return "2^⌈log₂(" + inner + ")⌉"; }
  std::string plus() const override { return " + "; }
  std::string minus() const override { return " - "; }
  std::string negative(const std::string& term) const override { return "-" + term; }
};

/// The same with what a keyboard has; a program can read it back.
class AsciiWriter : public TextWriter {
 public:
  std::string times() const override { return "*"; }
  std::string power(const std::string& base, int64_t exponent) const override {
    return base + "^" + std::to_string(exponent);
  }
  std::string ceiling(const std::string& inner) const override { return "ceil(" + inner + ")"; }
  std::string power_of_two(const std::string& inner) const override { return "pow2(" + inner + ")"; }
};

/// LaTeX for math mode.
class LatexWriter : public Writer {
 public:
  std::string symbol(const std::string& letters) const override {
    if (letters.find('\\') != std::string::npos) return letters;
    const auto [base, index] = split_index(letters);
    return index.empty() ? upright(base) : upright(base) + "_{" + upright(index) + "}";
  }
  std::string number(int64_t value) const override { return std::to_string(value); }
  std::string parentheses(const std::string& inner) const override { return "\\left(" + inner + "\\right)"; }
  std::string times() const override { return "\\,"; }
  std::string power(const std::string& base, int64_t exponent) const override {
    return base + "^{" + std::to_string(exponent) + "}";
  }
  std::string quotient(const Piece& numerator, const Piece& divisor) const override {
    return "\\frac{" + numerator.text + "}{" + divisor.text + "}";
  }
  std::string ceiling(const std::string& inner) const override { return "\\left\\lceil " + inner + " \\right\\rceil"; }
  std::string call(const std::string& name, const std::string& left, const std::string& right) const override {
    return "\\" + name + "\\left(" + left + ", " + right + "\\right)";
  }
  std::string power_of_two(const std::string& inner) const override {
    return "2^{" + ceiling("\\log_2 " + parentheses(inner)) + "}";
  }
  std::string plus() const override { return " + "; }
  std::string minus() const override { return " - "; }
  std::string negative(const std::string& term) const override { return "-" + term; }

 private:
  /// Several letters are a name, not a product.
  static std::string upright(const std::string& letters) {
    if (letters.size() == 1 && std::string("_%#&${}~^").find(letters) == std::string::npos) return letters;
    std::string escaped;
    for (const char c : letters) {
      if (c == '~' || c == '^') {
        escaped += std::string("\\") + c + "{}";
      } else {
        escaped += std::string("_%#&${}").find(c) != std::string::npos ? std::string("\\") + c : std::string(1, c);
      }
    }
    return "\\mathrm{" + escaped + "}";
  }
};

/// Presentation MathML.
class MathmlWriter : public Writer {
 public:
  std::string symbol(const std::string& letters) const override {
    const auto [base, index] = split_index(letters);
    if (index.empty()) return element("mi", escaped(base));
    return element("msub", element("mi", escaped(base)) + element("mi", escaped(index)));
  }
  std::string number(int64_t value) const override { return element("mn", std::to_string(value)); }
  std::string parentheses(const std::string& inner) const override {
    return element("mrow", sign("(") + inner + sign(")"));
  }
  std::string times() const override { return sign("·"); }
  std::string power(const std::string& base, int64_t exponent) const override {
    return element("msup", element("mrow", base) + number(exponent));
  }
  std::string quotient(const Piece& numerator, const Piece& divisor) const override {
    return element("mfrac", element("mrow", numerator.text) + element("mrow", divisor.text));
  }
  std::string ceiling(const std::string& inner) const override {
    return element("mrow", sign("⌈") + inner + sign("⌉"));
  }
  std::string call(const std::string& name, const std::string& left, const std::string& right) const override {
    return element("mi", name) + parentheses(left + sign(",") + right);
  }
  std::string power_of_two(const std::string& inner) const override {
    const std::string logarithm = element("msub", element("mi", "log") + number(2)) + parentheses(inner);
    return element("msup", number(2) + ceiling(logarithm));
  }
  std::string plus() const override { return sign("+"); }
  std::string minus() const override { return sign("−"); }
  std::string negative(const std::string& term) const override { return element("mrow", sign("−") + term); }
  std::string whole(const std::string& formula) const override {
    return "<math xmlns=\"http://www.w3.org/1998/Math/MathML\">" + formula + "</math>";
  }

 private:
  static std::string element(const std::string& name, const std::string& content) {
    return "<" + name + ">" + content + "</" + name + ">";
  }
  static std::string sign(const std::string& text) { return element("mo", text); }
  static std::string escaped(const std::string& text) {
    std::string safe;
    for (const char c : text) {
      safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
    }
    return safe;
  }
};

}  // namespace

std::unique_ptr<Writer> writer_of(Notation notation) {
  switch (notation) {
    case Notation::kText:
      break;
    case Notation::kAscii:
      return std::make_unique<AsciiWriter>();
    case Notation::kLatex:
      return std::make_unique<LatexWriter>();
    case Notation::kMathml:
      return std::make_unique<MathmlWriter>();
  }
  return std::make_unique<TextWriter>();
}

}  // namespace peakmem
