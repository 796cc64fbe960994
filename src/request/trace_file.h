// Traces as files: docs/trace-format.md.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "size/result.h"
#include "trace/recording.h"

namespace peakmem {

inline constexpr std::string_view kTraceSchema = "peakmem-trace/1";
/// How a trace file's name ends.
inline constexpr std::string_view kTraceEnding = ".peakmem";

/// What a trace file may at most be, so that a hostile one costs little: its bytes, the events of all of its phases,
/// its distinct formulas and their terms, its letters.
inline constexpr size_t kTraceMaxBytes = size_t{64} << 20;
inline constexpr int64_t kTraceMaxEvents = int64_t{1} << 26;
inline constexpr size_t kTraceMaxFormulas = 4096;
inline constexpr size_t kTraceMaxTerms = 16384;
inline constexpr size_t kTraceMaxLetters = 64;

/// Whether a text says of itself near its beginning that it is a trace.
bool says_trace(std::string_view text);
/// Whether that is the schema of a trace, whatever its version.
constexpr bool is_trace_schema(std::string_view schema) { return schema.starts_with("peakmem-trace/"); }

/// The trace in `text`, checked: what it says can have happened, at its letters' own values. The Error's `field` is the
/// place in it, as "storages[12]" or "line 3, column 14".
Result<std::shared_ptr<const Recording>> read_trace(std::string_view text);

}  // namespace peakmem
