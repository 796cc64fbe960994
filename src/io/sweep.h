// Memory against one size.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "estimate/report.h"
#include "estimate/textbook.h"
#include "io/inquiry.h"

namespace peakmem {

/// What the job takes with the size at a value; where it is no job there, `error` alone says why.
struct SweepPoint {
  int64_t value = 0;
  std::optional<Error> error;
  std::optional<Report> report;  // as estimate() gives it at that value
  std::vector<Textbook> textbook;
};

/// One size varied, all else as asked.
struct Sweep {
  std::string over;  // the option
  Inquiry inquiry;   // at the first value that is a job
  std::vector<SweepPoint> points;
};

/// At most this many values are asked for at once.
inline constexpr size_t kMaxSweep = 1000;

/// `values` has --over and --values (`1,2,4`); the others make the job. Fails where no value is one.
Result<Sweep> sweep(const NamedConfig* model, OptionValues values);

}  // namespace peakmem
