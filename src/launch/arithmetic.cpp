#include "launch/arithmetic.h"

#include <cctype>
#include <limits>

namespace peakmem {
namespace {

constexpr int kMaxDepth = 32;

/// A parser of two levels of precedence: each function takes what it reads off the text.
class Parser {
 public:
  Parser(std::string_view text, const NameValue& value_of) : text_(text), value_of_(value_of) {}

  std::optional<int64_t> all() {
    const std::optional<int64_t> value = sum(0);
    skip_spaces();
    return text_.empty() ? value : std::nullopt;
  }

 private:
  void skip_spaces() {
    while (!text_.empty() && std::isspace(static_cast<unsigned char>(text_.front())) != 0) text_.remove_prefix(1);
  }

  bool take(std::string_view sign) {
    skip_spaces();
    if (!text_.starts_with(sign)) return false;
    text_.remove_prefix(sign.size());
    return true;
  }

  std::optional<int64_t> sum(int depth) {
    std::optional<int64_t> left = product(depth);
    while (left) {
      const bool minus = take("-");
      if (!minus && !take("+")) break;
      const std::optional<int64_t> right = product(depth);
      int64_t result = 0;
      const bool overflows = !right || (minus ? __builtin_sub_overflow(*left, *right, &result)
                                              : __builtin_add_overflow(*left, *right, &result));
      left = overflows ? std::nullopt : std::optional(result);
    }
    return left;
  }

  std::optional<int64_t> product(int depth) {
    std::optional<int64_t> left = atom(depth);
    while (left) {
      char sign = 0;
      if (take("//") || take("/"))
        sign = '/';
      else if (take("*"))
        sign = '*';
      else if (take("%"))
        sign = '%';
      else
        break;
      left = combine(*left, sign, atom(depth));
    }
    return left;
  }

  static std::optional<int64_t> combine(int64_t left, char sign, std::optional<int64_t> right) {
    int64_t result = 0;
    if (!right) return std::nullopt;
    if (sign == '*') return __builtin_mul_overflow(left, *right, &result) ? std::nullopt : std::optional(result);
    const bool overflows = left == std::numeric_limits<int64_t>::min() && *right == -1;
    if (*right == 0 || overflows) return std::nullopt;
    return sign == '/' ? left / *right : left % *right;
  }

  std::optional<int64_t> atom(int depth) {
    if (depth > kMaxDepth) return std::nullopt;
    if (take("(")) {
      const std::optional<int64_t> inner = sum(depth + 1);
      return take(")") ? inner : std::nullopt;
    }
    if (take("-")) return combine(-1, '*', atom(depth + 1));
    skip_spaces();
    size_t length = 0;
    while (length < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[length])) != 0 ||
                                     text_[length] == '_' || text_[length] == '$'))
      ++length;
    const std::string_view word = text_.substr(0, length);
    text_.remove_prefix(length);
    return word.empty() ? std::nullopt : value(word);
  }

  std::optional<int64_t> value(std::string_view word) const {
    if (std::isdigit(static_cast<unsigned char>(word.front())) == 0)
      return value_of_(word.substr(word.front() == '$' ? 1 : 0));
    int64_t number = 0;
    for (const char c : word) {
      if (c == '_') continue;
      if (std::isdigit(static_cast<unsigned char>(c)) == 0 || __builtin_mul_overflow(number, 10, &number) ||
          __builtin_add_overflow(number, c - '0', &number))
        return std::nullopt;
    }
    return number;
  }

  std::string_view text_;
  const NameValue& value_of_;
};

}  // namespace

std::optional<int64_t> evaluate_integer(std::string_view text, const NameValue& value_of) {
  return Parser(text, value_of).all();
}

}  // namespace peakmem
