#include "size/bytes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "size/text.h"

namespace peakmem {
namespace {

constexpr std::array<std::string_view, 7> kBinary = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
constexpr std::array<std::string_view, 7> kDecimal = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};

__extension__ using Wide = unsigned __int128;

/// As printf's %.*f writes it: the exact value, halves to the even digit. For sizes below 2^63 and up to 12 decimals.
/// (printf itself would be a fiftieth of the WebAssembly module.)
std::string with_decimals(double value, int decimals) {
  auto whole = static_cast<uint64_t>(std::fabs(value));
  int exponent = 0;
  const double mantissa = std::frexp(std::fabs(value) - static_cast<double>(whole), &exponent);
  uint64_t places = 1;
  for (int i = 0; i < decimals; ++i) places *= 10;
  const Wide scaled = static_cast<Wide>(static_cast<uint64_t>(std::ldexp(mantissa, 53))) * places;
  uint64_t digits = 0;
  if (const int shift = 53 - exponent; shift < 100) {  // below, less than half a digit is left
    digits = static_cast<uint64_t>(scaled >> shift);
    const Wide rest = scaled - (static_cast<Wide>(digits) << shift);
    const Wide half = static_cast<Wide>(1) << (shift - 1);
    const bool odd = ((decimals > 0 ? digits : whole) & 1U) != 0;
    if (rest > half || (rest == half && odd)) ++digits;
  }
  if (digits == places) {
    ++whole;
    digits = 0;
  }
  std::string text = (std::signbit(value) ? "-" : "") + std::to_string(whole);
  if (decimals == 0) return text;
  const std::string behind = std::to_string(digits);
  return text + "." + std::string(static_cast<size_t>(decimals) - behind.size(), '0') + behind;
}

std::string in_units(int64_t bytes, double step, const std::array<std::string_view, 7>& units) {
  const double size = std::fabs(static_cast<double>(bytes));
  if (size < step) return std::to_string(bytes) + " B";
  size_t unit = 0;
  double value = size;
  while (unit + 1 < units.size() && value >= step - 0.005) {  // what would be shown as 1024.00 is 1.00 of the next
    value /= step;
    ++unit;
  }
  return (bytes < 0 ? "-" : "") + with_decimals(value, 2) + " " + std::string(units[unit]);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// A decimal number's digits without the point, and how many of them stand before it.
struct Digits {
  std::string all;
  int64_t before_point = 0;
};

/// Takes an exponent like `e9` off the front of the text and moves the point; an `e` without digits is left alone.
void take_exponent(std::string_view& text, Digits& digits) {
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return;
  const bool negative = text[1] == '-';
  size_t next = negative || text[1] == '+' ? 2 : 1;
  if (next >= text.size() || !is_digit(text[next])) return;
  int64_t exponent = 0;
  for (; next < text.size() && is_digit(text[next]); ++next) {
    exponent = std::min<int64_t>(exponent * 10 + (text[next] - '0'), 9999);
  }
  digits.before_point += negative ? -exponent : exponent;
  text.remove_prefix(next);
}

/// Takes a number off the front of the text; none if no number stands there.
std::optional<Digits> take_number(std::string_view& text) {
  Digits digits;
  bool point = false;
  size_t next = 0;
  for (; next < text.size(); ++next) {
    const char c = text[next];
    if (c == '.' && !point) {
      point = true;
    } else if (is_digit(c)) {
      digits.all += c;
      if (!point) ++digits.before_point;
    } else if (c != '_' || digits.all.empty()) {
      break;
    }
  }
  if (digits.all.empty()) return std::nullopt;
  text.remove_prefix(next);
  take_exponent(text, digits);
  return digits;
}

int64_t raised(int64_t base, size_t power) { return power == 0 ? 1 : base * raised(base, power - 1); }

/// The bytes of one unit: as listed, or all in lower or upper case.
std::optional<int64_t> bytes_of_unit(std::string_view unit) {
  if (unit.empty()) return 1;
  const auto is_named = [unit](std::string_view name) {
    std::string lower(name);
    std::string upper(name);
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return unit == name || unit == lower || unit == upper;
  };
  for (size_t i = 0; i < kBinary.size(); ++i) {
    if (is_named(kBinary[i])) return raised(1024, i);
    if (is_named(kDecimal[i])) return raised(1000, i);
  }
  return std::nullopt;
}

/// The digits times the unit, rounded to bytes: the part before the point exactly, that behind it in doubles.
std::optional<int64_t> multiplied(const Digits& digits, int64_t unit) {
  int64_t whole = 0;
  double fraction = 0;
  double place = 0.1;
  const int64_t count = static_cast<int64_t>(digits.all.size());
  if (digits.before_point < 0) place *= std::pow(10.0, static_cast<double>(digits.before_point));
  for (int64_t i = 0; i < std::max(count, digits.before_point); ++i) {
    const int digit = i < count ? digits.all[static_cast<size_t>(i)] - '0' : 0;
    if (i >= digits.before_point) {
      fraction += place * digit;
      place /= 10;
    } else if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, digit, &whole)) {
      return std::nullopt;
    }
  }
  const auto rest = static_cast<int64_t>(std::round(fraction * static_cast<double>(unit)));  // at most the unit
  if (__builtin_mul_overflow(whole, unit, &whole) || __builtin_add_overflow(whole, rest, &whole)) return std::nullopt;
  return whole;
}

Error not_a_size(std::string_view field, std::string_view text, std::string_view why, std::string_view hint) {
  return {std::string(field), "\"" + std::string(text) + "\" " + std::string(why), std::string(hint)};
}

/// `GiB (2^30) or GB (10^9)`.
std::string both_units(size_t power) {
  return std::string(kBinary[power]) + " (2^" + std::to_string(10 * power) + ") or " + std::string(kDecimal[power]) +
         " (10^" + std::to_string(3 * power) + ")";
}

}  // namespace

std::string in_binary_units(int64_t bytes) { return in_units(bytes, 1024, kBinary); }
std::string in_decimal_units(int64_t bytes) { return in_units(bytes, 1000, kDecimal); }

std::string as_pytorch_prints(int64_t bytes) {
  constexpr std::array<std::string_view, 3> kUnits = {" KiB", " MiB", " GiB"};
  if (bytes <= 1024) return std::to_string(bytes) + " bytes";
  auto value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value > 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return with_decimals(value, 2) + std::string(kUnits[unit]);
}

std::string grouped(int64_t number, std::string_view separator) {
  const std::string digits = std::to_string(number);
  const size_t start = number < 0 ? 1 : 0;
  std::string text = digits.substr(0, start);
  for (size_t i = start; i < digits.size(); ++i) {
    if (i > start && (digits.size() - i) % 3 == 0) text += separator;
    text += digits[i];
  }
  return text;
}

std::string percent(double share, int decimals) {
  if (!std::isfinite(share) || std::fabs(share) > 1e15) return "n/a";
  return with_decimals(share * 100, std::clamp(decimals, 0, 12)) + " %";
}

Result<int64_t> parse_bytes(std::string_view text, std::string_view field) {
  constexpr std::string_view kForm = "write bytes as 80GiB (80 * 2^30), 80GB (80 * 10^9) or a plain number";
  std::string_view rest = trimmed(text);
  if (!rest.empty() && rest.front() == '-') return not_a_size(field, text, "is below zero", kForm);
  const auto digits = take_number(rest);
  if (!digits) return not_a_size(field, text, "is not a number of bytes", kForm);
  const std::string unit(trimmed(rest));
  const auto bytes = bytes_of_unit(unit);
  if (!bytes) {
    const size_t letter = unit.size() == 1 ? std::string_view("kKmMgGtTpPeE").find(unit) : std::string_view::npos;
    const std::string problem = letter != std::string_view::npos ? "could mean " + both_units(letter / 2 + 1)
                                                                 : "has the unknown unit \"" + unit + "\"";
    return not_a_size(field, text, problem, kForm);
  }
  const auto value = multiplied(*digits, *bytes);
  if (!value) return not_a_size(field, text, "is more than 2^63 bytes", "the largest size is 8 EiB less one byte");
  return *value;
}

}  // namespace peakmem
