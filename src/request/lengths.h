// How long batches are where rows differ and each batch is padded to its longest row.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "size/result.h"

namespace peakmem {

/// How long rows are: every one of them, shortest first; or a log-normal distribution, which two percentiles say.
struct RowLengths {
  std::vector<int64_t> rows;
  double mean = 0;       // of the logarithm
  double deviation = 0;  // of it; 0 where rows are known

  bool are_known() const { return !rows.empty(); }
  /// The length that a row passes with a chance of 1 - share.
  int64_t at(double share) const;
};

/// A batch that no more than 1 - `share` of all batches are longer than; 1: the longest there is.
struct BatchLength {
  double share = 1;
  int64_t seq = 0;
};

inline constexpr size_t kMaxRowLengths = size_t{1} << 20;

/// "p50=512,p99=4096", or lengths between commas, blanks or lines, as they are or in a JSON list.
Result<RowLengths> parse_row_lengths(std::string_view text);

/// The lengths of batches of so many rows, independent of each other, cut at `most` tokens: half of them, nine of ten,
/// 99 of 100, and the longest (which a run meets sooner or later); each length once, the shortest first. The longest of
/// n rows is within the share q of batches where each is within q^(1/n) of rows.
std::vector<BatchLength> batch_lengths(const RowLengths& lengths, int64_t rows, int64_t most);

}  // namespace peakmem
