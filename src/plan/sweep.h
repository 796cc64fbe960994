// Memory against options: one varied, or several in a grid.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "estimate/report.h"
#include "estimate/textbook.h"
#include "request/request.h"

namespace peakmem {

/// An option that is varied, and its values as texts.
struct SweepAxis {
  std::string over;
  bool is_size = true;  // its values are numbers
  std::vector<std::string> values;
};

/// What the job takes with the axes at values; where it is no job there, `error` alone says why.
struct SweepPoint {
  std::vector<std::string> values;  // one for each axis
  std::optional<Error> error;
  std::optional<Report> report;  // as estimate() gives it there, of the ledger only categories and bytes
  std::vector<Textbook> textbook;
};

/// Options varied, all else as asked: every value of the first axis with every one of the next, the last the quickest.
struct Sweep {
  std::string over;  // as asked: "batch", "batch,gpu"
  std::vector<SweepAxis> axes;
  size_t first = 0;  // the number of the first of `points` in the grid, of `grid` in all
  size_t grid = 0;
  Request request;  // at the first point that is a job
  std::vector<SweepPoint> points;
};

/// At most this many points are asked for at once, and a grid that is asked for in shards has at most so many.
inline constexpr size_t kMaxSweep = 4096;
inline constexpr uint64_t kMaxGrid = uint64_t{1} << 40;

/// Values of one axis: "1,2,4", "1..64" (every one), "8..64:8" (in steps), "2^0..2^6" (powers), and of a choice names,
/// or "all".
Result<std::vector<std::string>> parse_values(const std::string& text, const std::string& over);

/// `values` has --over and --values, or in their place --grid, the text of a file that is an object in JSON (`{"batch":
/// "1..64", "gpu": ["t4", "l4"]}`), with axes between commas and their values between semicolons, and perhaps --shard
/// I/N, the I-th of N stretches of the points, from 0; the others make the job. Fails where no point is one, but for a
/// shard, whose points then say so.
Result<Sweep> sweep(const NamedConfig* model, OptionValues values);

/// How many points the grid of such `values` has, of all shards.
Result<size_t> grid_size(const NamedConfig* model, OptionValues values);

}  // namespace peakmem
