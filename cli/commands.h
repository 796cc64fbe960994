// From arguments to what is printed.
#pragma once

#include "arguments.h"

namespace peakmem::cli {

/// Exit codes: answered (and it fits, if asked), does not fit, bad usage or bad input.
enum class Exit : uint8_t { kAnswered = 0, kDoesNotFit = 1, kBadInput = 2 };

/// What the arguments ask for; also writes the files that are asked for.
Result<Answer> run(const Arguments& arguments);
Result<Answer> run_accuracy(const Arguments& arguments);

}  // namespace peakmem::cli
