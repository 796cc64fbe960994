// Reads back what print writes as ASCII, as a fraction: `3*B*T^2/2 + ceil((T + 1)/32)`.
#pragma once

#include <cctype>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "size/sparse.h"

namespace peakmem::testing {

/// A recursive descent parser that evaluates; no value on overflow or wrong grammar.
class AsciiParser {
 public:
  using Value = std::optional<sparse::Fraction>;

  AsciiParser(std::string_view text, const std::map<std::string, int64_t>& symbols) : rest_(text), symbols_(symbols) {}

  Value parse() {
    const Value value = sum();
    return rest_.empty() ? value : std::nullopt;
  }

 private:
  bool take(std::string_view token) {
    if (rest_.substr(0, token.size()) != token) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  static Value add(Value a, Value b) { return a && b ? sparse::add(*a, *b) : std::nullopt; }
  static Value multiply(Value a, Value b) { return a && b ? sparse::multiply(*a, *b) : std::nullopt; }
  static Value inverse(Value a) { return a ? sparse::reduced(a->divisor, a->numerator) : std::nullopt; }
  static Value negative(Value a) { return multiply(a, sparse::Fraction{-1, 1}); }

  Value sum() {
    Value value = take("-") ? negative(product()) : product();
    while (true) {
      if (take(" + ")) {
        value = add(value, product());
      } else if (take(" - ")) {
        value = add(value, negative(product()));
      } else {
        return value;
      }
    }
  }

  Value product() {
    Value value = power();
    while (true) {
      if (take("*")) {
        value = multiply(value, power());
      } else if (take("/")) {
        value = multiply(value, inverse(power()));
      } else {
        return value;
      }
    }
  }

  Value power() {
    const Value base = factor();
    if (!take("^")) return base;
    Value value = sparse::Fraction{1, 1};
    for (int64_t i = number(); i > 0; --i) value = multiply(value, base);
    return value;
  }

  int64_t number() {
    int64_t value = 0;
    while (!rest_.empty() && std::isdigit(static_cast<unsigned char>(rest_.front())) != 0) {
      value = value * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return value;
  }

  Value factor() {
    if (rest_.empty()) return std::nullopt;
    if (std::isdigit(static_cast<unsigned char>(rest_.front())) != 0) return sparse::Fraction{number(), 1};
    if (take("(")) return closed(sum());
    if (take("ceil(")) {
      const Value inner = closed(sum());
      if (!inner) return inner;
      const int64_t down = inner->numerator / inner->divisor;
      return sparse::Fraction{down + (inner->numerator % inner->divisor > 0 ? 1 : 0), 1};
    }
    if (take("pow2(")) return power_of_two(closed(sum()));
    if (take("max(")) return pair(true);
    if (take("min(")) return pair(false);
    const auto found = symbols_.find(std::string(rest_.substr(0, 1)));
    if (found == symbols_.end()) return std::nullopt;
    rest_.remove_prefix(1);
    return sparse::Fraction{found->second, 1};
  }

  Value closed(Value value) { return take(")") ? value : std::nullopt; }

  static Value power_of_two(const Value& inner) {
    if (!inner) return inner;
    int64_t power = 1;
    while (power * inner->divisor < inner->numerator) power *= 2;
    return sparse::Fraction{power, 1};
  }

  Value pair(bool larger) {
    const Value left = sum();
    const Value right = take(", ") ? closed(sum()) : std::nullopt;
    const Value difference = add(left, negative(right));
    if (!difference) return difference;
    return (difference->numerator > 0) == larger ? left : right;
  }

  std::string_view rest_;
  const std::map<std::string, int64_t>& symbols_;
};

}  // namespace peakmem::testing
