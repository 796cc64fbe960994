// What was measured beside what we trace.
#pragma once

#include <string>

#include "estimate/diff.h"
#include "measured/measurement.h"
#include "report/page.h"

namespace peakmem {

/// What is compared: the measurement as a face names it, and the job that was traced.
struct DiffQuestion {
  std::string name;  // "records.jsonl, record 3"
  std::string model;
  Job job;
  size_t rows = 20;  // sizes to list; the text says how many more there are
};

/// For a terminal: the peaks, the phases, and the sizes whose counts differ first.
std::string diff_text(const Diff& diff, const Measurement& measurement, const DiffQuestion& question,
                      const Style& style);
/// The same as JSON, schema peakmem/1.
std::string diff_json(const Diff& diff, const Measurement& measurement, const DiffQuestion& question);

}  // namespace peakmem
