// What a plain scalar means: the expressions of PyYAML 6.0.3 (resolver.py, constructor.py).
#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "format/yaml.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;

constexpr std::array<std::string_view, 3> kTrue = {"yes", "true", "on"};
constexpr std::array<std::string_view, 3> kFalse = {"no", "false", "off"};

bool digit(char c) { return c >= '0' && c <= '9'; }

/// The word in lower case where it is all lower, all upper or capitalised, as the words must be; else nothing.
std::string word_of(std::string_view text) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  const std::string_view rest = text.substr(std::min<size_t>(text.size(), 1));
  const bool all_lower = std::all_of(text.begin(), text.end(), lower);
  const bool all_upper = std::all_of(text.begin(), text.end(), upper);
  if (!all_lower && !all_upper && !(upper(text.front()) && std::all_of(rest.begin(), rest.end(), lower))) return {};
  std::string word(text);
  for (char& c : word)
    if (upper(c)) c = static_cast<char>(c - 'A' + 'a');
  return word;
}

bool is_one_of(const std::string& word, const std::array<std::string_view, 3>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string without_underscores(std::string_view text) {
  std::string plain(text);
  std::erase(plain, '_');
  return plain;
}

/// A whole number: in base 2, 8 (with a zero before it), 10 or 16. What is too large for 64 bits is a real number.
bool read_integer(std::string_view text, Value& value) {
  std::string digits = without_underscores(text);
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  if (digits.empty() || !digit(digits[0])) return false;
  int base = 10;
  if (digits.starts_with("0x")) base = 16;
  if (digits.starts_with("0b")) base = 2;
  if (base != 10)
    digits.erase(0, 2);
  else if (digits.size() > 1 && digits[0] == '0')
    base = 8;
  const std::string_view known =
      std::string_view("0123456789abcdefABCDEF").substr(0, base == 16 ? 22U : static_cast<size_t>(base));
  if (digits.empty() || digits.find_first_not_of(known) != std::string::npos) return false;
  if (digits.size() > 15) {
    value = {.kind = Kind::kReal, .real = std::strtod(std::string(text).c_str(), nullptr)};
    return true;
  }
  const int64_t number = std::strtoll(digits.c_str(), nullptr, base);
  value = {.kind = Kind::kInteger, .integer = negative ? -number : number};
  value.real = static_cast<double>(value.integer);
  return true;
}

/// A real number, which has a point: `1e5` and `2e-5` are texts, and so is an exponent without a sign.
bool read_real(std::string_view text, Value& value) {
  const std::string plain = without_underscores(text);
  size_t at = plain.starts_with('-') || plain.starts_with('+') ? 1 : 0;
  const size_t point = plain.find('.');
  if (point == std::string::npos || at == plain.size()) return false;
  size_t digits = 0;
  for (; at < plain.size() && (digit(plain[at]) || at == point); ++at) digits += digit(plain[at]) ? 1 : 0;
  if (digits == 0 || at < point) return false;
  if (at < plain.size()) {
    const bool exponent = plain[at] == 'e' || plain[at] == 'E';
    if (!exponent || at + 2 >= plain.size() || (plain[at + 1] != '+' && plain[at + 1] != '-')) return false;
    if (!std::all_of(plain.begin() + static_cast<std::ptrdiff_t>(at) + 2, plain.end(), digit)) return false;
  }
  value = {.kind = Kind::kReal, .real = std::strtod(plain.c_str(), nullptr)};
  return true;
}

}  // namespace

Value yaml_scalar(std::string_view text) {
  Value value;
  if (text.empty() || text == "~") return value;
  const std::string word = word_of(text);
  if (word == "null") return value;
  if (is_one_of(word, kTrue)) return {.kind = Kind::kBool, .boolean = true};
  if (is_one_of(word, kFalse)) return {.kind = Kind::kBool, .boolean = false};
  if (read_integer(text, value) || read_real(text, value)) return value;
  return {.kind = Kind::kString, .string = std::string(text)};
}

}  // namespace peakmem
