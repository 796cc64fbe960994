#include "request/option_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "size/wording.h"

namespace peakmem {
namespace {

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\\'; }
bool digit(char c) { return c >= '0' && c <= '9'; }

/// `1,024` without its commas, which stand before groups of three; any other text as it is.
std::string without_commas(std::string_view text) {
  std::string plain;
  const size_t first = text.find(',');
  if (first == 0 || first > 3) return std::string(text);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool comma = i >= first && (i - first) % 4 == 0;
    if (comma != (text[i] == ',') || (comma && i + 3 >= text.size())) return std::string(text);
    if (!comma) plain += text[i];
  }
  return plain;
}

/// Of lengths `4k` is 4096, as everybody says it.
bool in_thousands(std::string_view text, std::string_view field) {
  const bool length = field == "--seq" || field == "--target-seq" || field == "seq" || field == "target-seq";
  return length && (text.ends_with('k') || text.ends_with('K')) && text.find(',') == std::string_view::npos;
}

}  // namespace

Result<int64_t> parse_size(std::string_view given, std::string_view field) {
  const bool thousands = in_thousands(given, field);
  const std::string plain = without_commas(given.substr(0, given.size() - (thousands ? 1 : 0)));
  const std::string_view text = plain;
  std::string digits;
  bool good = !text.empty() && digit(text.front()) && digit(text.back());
  for (const char c : text) {
    good = good && (digit(c) || c == '_');
    if (c != '_') digits += c;
  }
  if (!good) return Error{std::string(field), "must be a whole number from 1 on, is " + in_quotes(given), {}};
  int64_t size = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (problem != std::errc() || end != digits.data() + digits.size())
    return Error{std::string(field), in_quotes(text) + " is too large", "sizes stay below 2^63"};
  if (thousands && size > std::numeric_limits<int64_t>::max() / 1024)
    return Error{std::string(field), in_quotes(given) + " is too large", "sizes stay below 2^63"};
  if (thousands) size *= 1024;
  if (size < 1) return Error{std::string(field), "must be at least 1, is " + std::to_string(size), {}};
  return size;
}

Result<double> parse_share(std::string_view text, std::string_view field) {
  const bool percents = text.ends_with('%');
  const std::string number(text.substr(0, text.size() - (percents ? 1 : 0)));
  const bool plain = !number.empty() && number.find_first_not_of("0123456789.eE-") == std::string::npos;
  char* end = nullptr;  // strtod: the WebAssembly library has no from_chars for fractions
  double share = std::strtod(number.c_str(), &end);
  const bool good = plain && end == number.c_str() + number.size() && std::isfinite(share);
  if (percents) share /= 100;
  if (good && share >= 0 && share < 1) return share;
  return Error{std::string(field), "must be a share from 0 to below 1, is " + in_quotes(text), "such as 5% or 0.05"};
}

bool is_symbol(std::string_view text) {
  if (text.empty() || text.size() > 20 || !letter(text.front())) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return letter(c) || digit(c) || c == '_'; });
}

const std::string* Options::text(std::string_view name) const {
  for (const OptionValue& value : values_)
    if (value.name == name) return &value.text;
  return nullptr;
}

std::vector<std::string> Options::list(std::string_view name) const {
  const std::string* given = text(name);
  return given == nullptr ? std::vector<std::string>() : entries_of(*given);
}

bool Options::flag(std::string_view name) const {
  const std::string* given = text(name);
  return given != nullptr && *given != "false";
}

std::optional<int64_t> Options::size(std::string_view name) const {
  const std::string* given = text(name);
  if (given == nullptr) return std::nullopt;
  const Result<int64_t> size = parse_size(*given, name);
  return size ? std::optional(*size) : std::nullopt;
}

std::vector<std::string> entries_of(std::string_view text) {
  std::vector<std::string> entries;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    entries.emplace_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return entries;
}

std::optional<std::string> take_option(OptionValues& options, std::string_view name) {
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const OptionValue& option) { return option.name == name; });
  if (found == options.end()) return std::nullopt;
  std::string text = std::move(found->text);
  options.erase(found);
  return text;
}

void drop_option(OptionValues& options, std::string_view name) {
  std::erase_if(options, [&](const OptionValue& option) { return option.name == name; });
}

}  // namespace peakmem
