#include "request/lengths.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace peakmem {
namespace {

constexpr const char* kField = "--lengths";
constexpr std::array kShares = {0.5, 0.9, 0.99};
constexpr double kLargest = 1e9;  // tokens of a row

/// The number of standard deviations below which that share of a normal distribution lies.
double normal_quantile(double share) {
  double low = -10, high = 10;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < share ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::optional<double> number_of(std::string_view word) {
  const std::string text(word);
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const bool whole = !text.empty() && end == text.c_str() + text.size();
  return whole && number > 0 && number <= kLargest ? std::optional(number) : std::nullopt;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  constexpr std::string_view kBetween = " ,\t\r\n[]";
  for (size_t begin = text.find_first_not_of(kBetween); begin < text.size();) {
    const size_t end = std::min(text.find_first_of(kBetween, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kBetween, end);
  }
  return words;
}

Error unreadable(std::string_view word) {
  return {kField, "'" + std::string(word.substr(0, 40)) + "' is no length", "p50=512,p99=4096, or a file of lengths"};
}

/// A percentile and its length: "p99=4096".
struct Percentile {
  double share;
  double length;
};
Result<Percentile> percentile_of(std::string_view word) {
  const size_t equals = word.find('=');
  if (word[0] != 'p' || equals == std::string_view::npos) return unreadable(word);
  const std::optional<double> percent = number_of(word.substr(1, equals - 1));
  const std::optional<double> length = number_of(word.substr(equals + 1));
  if (!percent || *percent >= 100 || !length) return unreadable(word);
  return Percentile{*percent / 100, *length};
}

Result<RowLengths> of_percentiles(const std::vector<std::string_view>& words) {
  if (words.size() != 2)
    return Error{kField, "takes two percentiles, and " + std::to_string(words.size()) + " are given",
                 "p50=512,p99=4096, or a file of lengths"};
  const Result<Percentile> first = percentile_of(words[0]);
  if (!first) return first.error();
  const Result<Percentile> second = percentile_of(words[1]);
  if (!second) return second.error();
  if (second->share <= first->share || second->length < first->length)
    return Error{kField, "must have the smaller percentile first, with the smaller length", "p50=512,p99=4096"};
  const double low = normal_quantile(first->share), high = normal_quantile(second->share);
  RowLengths lengths;
  lengths.deviation = (std::log(second->length) - std::log(first->length)) / (high - low);
  lengths.mean = std::log(first->length) - low * lengths.deviation;
  return lengths;
}

}  // namespace

int64_t RowLengths::at(double share) const {
  if (are_known()) {
    const double place = std::ceil(share * static_cast<double>(rows.size()) - 1e-9);
    return rows[std::min(rows.size(), std::max<size_t>(static_cast<size_t>(place), 1)) - 1];
  }
  if (share >= 1) return std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(std::min(std::round(std::exp(mean + deviation * normal_quantile(share))), kLargest));
}

Result<RowLengths> parse_row_lengths(std::string_view text) {
  const std::vector<std::string_view> words = words_of(text);
  if (words.empty()) return Error{kField, "holds no lengths", "p50=512,p99=4096, or a file of lengths"};
  if (words.size() > kMaxRowLengths)
    return Error{kField, "holds more than 1,048,576 lengths", "a sample of them says the same"};
  if (words[0].find('=') != std::string_view::npos) return of_percentiles(words);
  RowLengths lengths;
  for (const std::string_view word : words) {
    const std::optional<double> length = number_of(word);
    if (!length || *length != std::floor(*length)) return unreadable(word);
    lengths.rows.push_back(static_cast<int64_t>(*length));
  }
  std::sort(lengths.rows.begin(), lengths.rows.end());
  return lengths;
}

std::vector<BatchLength> batch_lengths(const RowLengths& lengths, int64_t rows, int64_t most) {
  std::vector<BatchLength> all;
  for (const double share : kShares) {
    const double of_rows = std::pow(share, 1 / static_cast<double>(rows));
    all.push_back({share, std::clamp<int64_t>(lengths.at(of_rows), 1, most)});
  }
  all.push_back({1, std::clamp<int64_t>(lengths.at(1), 1, most)});
  std::vector<BatchLength> different;
  for (const BatchLength& each : all) {
    if (!different.empty() && different.back().seq == each.seq)
      different.back().share = each.share;
    else
      different.push_back(each);
  }
  return different;
}

}  // namespace peakmem
