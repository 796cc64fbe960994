#include "size/parse.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr int64_t kMaxExponent = 16;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

size_t terms_of(Expr e) { return e.is_formula() ? e.pool()->terms(e.node()) : 1; }

/// A quotient that is not divided yet, for ceil() needs both of its parts.
struct Quotient {
  Expr over = 0;
  Expr under = 1;
};

/// A recursive descent; after the first complaint everything it gives is 0.
class Parser {
 public:
  Parser(std::string_view text, Pool& pool, std::span<const std::string_view> known)
      : text_(text), pool_(pool), known_(known) {}

  Result<Expr> parse() {
    if (text_.size() > kFormulaMaxText)
      return Error{"", "has more than " + std::to_string(kFormulaMaxText) + " characters", {}};
    const Expr formula = whole(sum());
    skip_spaces();
    if (at_ < text_.size()) complain("is no formula from " + in_quotes(text_.substr(at_, 20)) + " on");
    if (formula.overflowed()) complain("passes 2^62, divides by nothing, or leaves a rest");
    if (error_) return *error_;
    return formula;
  }

 private:
  void complain(const std::string& problem, const std::string& hint = {}) {
    if (!error_) error_ = Error{"column " + std::to_string(at_ + 1), problem, hint};
    at_ = text_.size();
  }
  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    skip_spaces();
    const bool here = at_ < text_.size() && text_[at_] == c;
    at_ += here ? 1 : 0;
    return here;
  }
  void want(char c) {
    if (!take(c)) complain(std::string("wants a ") + c + " here");
  }

  Expr checked(Expr e) {
    if (!error_ && terms_of(e) > kFormulaMaxTerms)
      complain("has more than " + std::to_string(kFormulaMaxTerms) + " terms");
    return error_ ? Expr(0) : e;
  }
  Expr multiply(Expr a, Expr b) {
    if (terms_of(a) * terms_of(b) > kFormulaMaxTerms)
      complain("has more than " + std::to_string(kFormulaMaxTerms) + " terms");
    return error_ ? Expr(0) : checked(a * b);
  }
  Expr whole(const Quotient& quotient) { return error_ ? Expr(0) : checked(exact_div(quotient.over, quotient.under)); }

  static Quotient negative(const Quotient& quotient) { return {Expr(-1) * quotient.over, quotient.under}; }

  /// Over one number where both are, for of (B + 1)/3 the 1/3 alone is no whole number.
  Quotient add(const Quotient& left, const Quotient& right) {
    if (error_) return {};
    if (!left.under.is_number() || !right.under.is_number()) return {checked(whole(left) + whole(right))};
    const int64_t a = left.under.number();
    const int64_t b = right.under.number();
    const int64_t common = a == 0 || b == 0 ? 0 : a / std::gcd(a, b);
    const Expr under = Expr(common) * Expr(b);
    if (common == 0 || under.overflowed()) complain("divides by what it cannot");
    if (error_) return {};
    return {checked(exact_div(under, a) * left.over + Expr(common) * right.over), under};
  }

  Quotient sum() {
    if (++depth_ > kFormulaMaxDepth) {
      complain("is nested deeper than " + std::to_string(kFormulaMaxDepth) + " levels");
      return {};
    }
    Quotient total = take('-') ? negative(product()) : product();
    while (!error_) {
      const bool plus = take('+');
      if (!plus && !take('-')) break;
      const Quotient right = product();
      total = add(total, plus ? right : negative(right));
    }
    --depth_;
    return total;
  }

  Quotient product() {
    Quotient value = {power()};
    while (!error_) {
      if (take('*'))
        value.over = multiply(value.over, power());
      else if (take('/'))
        value.under = multiply(value.under, power());
      else
        break;
    }
    return value;
  }

  Expr power() {
    const Expr base = factor();
    if (error_ || !take('^')) return base;
    skip_spaces();
    const int64_t exponent = number();
    if (exponent > kMaxExponent) complain("has a power above " + std::to_string(kMaxExponent));
    Expr value = 1;
    for (int64_t i = 0; i < exponent && !error_; ++i) value = multiply(value, base);
    return value;
  }

  int64_t number() {
    int64_t value = 0;
    const char* const begin = text_.data() + at_;
    const auto [end, problem] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (end == begin || !is_digit(*begin)) {
      complain("wants a number here");
      return 0;
    }
    if (problem != std::errc() || !Expr::fits(value)) {
      complain("has a number past 2^62");
      return 0;
    }
    at_ += static_cast<size_t>(end - begin);
    return value;
  }

  Expr factor() {
    skip_spaces();
    if (take('(')) {
      const Expr inner = whole(sum());
      want(')');
      return inner;
    }
    if (at_ == text_.size()) {
      complain("ends too early");
      return 0;
    }
    return is_letter(text_[at_]) ? named() : Expr(number());
  }

  Expr named() {
    const size_t begin = at_;
    while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (take('(')) return call(name, begin);
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) return pool_.symbol(name);
    at_ = begin;
    complain("has " + in_quotes(name) + ", which is no letter here", did_you_mean(name, known_));
    return 0;
  }

  Expr call(std::string_view name, size_t begin) {
    const Quotient first = sum();
    Expr value = 0;
    if (name == "ceil" || name == "pow2") {
      const Expr over = error_ ? Expr(0) : first.over;
      const Expr under = error_ ? Expr(1) : first.under;
      value = name == "ceil" ? checked_ceil(over, under) : power_of_two(whole(first));
    } else {
      want(',');
      const Expr left = whole(first);
      const Expr right = whole(sum());
      value = of_two(name, begin, left, right);
    }
    want(')');
    return checked(value);
  }

  Expr checked_ceil(Expr over, Expr under) {
    if (terms_of(over) * terms_of(under) > kFormulaMaxTerms) complain("is too long a quotient");
    return error_ ? Expr(0) : ceil_div(over, under);
  }

  Expr of_two(std::string_view name, size_t begin, Expr left, Expr right) {
    if (error_) return 0;
    if (name == "ceil_div") return checked_ceil(left, right);
    if (name == "max") return most(left, right);
    if (name == "min") return least(left, right);
    at_ = begin;
    complain("has " + in_quotes(name) + ", which is no function here", "known: ceil, ceil_div, max, min, pow2");
    return 0;
  }

  std::string_view text_;
  Pool& pool_;
  std::span<const std::string_view> known_;
  size_t at_ = 0;
  int depth_ = 0;
  std::optional<Error> error_;
};

}  // namespace

Result<Expr> parse_formula(std::string_view text, Pool& pool, std::span<const std::string_view> known) {
  return Parser(text, pool, known).parse();
}

}  // namespace peakmem
