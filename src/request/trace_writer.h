// Writing a job's trace as a file that trace_file.h reads.
#pragma once

#include <string>

#include "request/options.h"
#include "request/request.h"

namespace peakmem {

/// The job's trace as docs/trace-format.md has it: its sizes are formulas, and its batch, its lengths and its layers
/// may have other values as far as its guards say; the other letters are fixed. `options` are what was asked for: the
/// file says of what it is made.
Result<std::string> trace_text(const Request& request, const OptionValues& options);

}  // namespace peakmem
