// Our error on published runs of real GPUs.
#pragma once

#include <string>
#include <vector>

#include "estimate/report.h"
#include "estimate/step_time.h"
#include "format/json_writer.h"
#include "measured/published.h"

namespace peakmem {

/// A published row beside our answer to its command line.
struct HeldRow {
  PublishedRow row;
  int64_t allocated_bytes = 0;
  int64_t reserved_bytes = 0;
  int64_t device_bytes = 0;
  About tokens_per_second;  // where the row has it
};

/// A source with its rows held to what was measured.
struct HeldSource {
  PublishedSource source;
  std::vector<HeldRow> rows;
};

HeldRow held_row(const PublishedRow& row, const Report& report);

/// Markdown: tokens a second of every row that has them, beside our estimates, and how many lie within them; empty
/// where none has.
std::string throughput_table(const std::vector<HeldSource>& sources);

/// Markdown: errors by source and kind of number, then every row, then what is not covered and why.
std::string published_table(const std::vector<HeldSource>& sources);

/// The rows as a JSON list, each with its source, what was measured and ours.
void write_published(const std::vector<HeldSource>& sources, JsonWriter& out);

}  // namespace peakmem
