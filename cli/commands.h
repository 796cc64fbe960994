// What each command does.
#pragma once

#include "arguments.h"

namespace peakmem::cli {

/// Exit codes: answered (and it fits, if asked), does not fit, bad usage or bad input.
enum class Exit : uint8_t { kAnswered = 0, kDoesNotFit = 1, kBadInput = 2 };

/// What a command has to say on standard output, and how it ends.
struct Answer {
  std::string text;
  Exit exit = Exit::kAnswered;
};

Result<Answer> run_estimate(const Arguments& arguments);
Result<Answer> run_formula(const Arguments& arguments);
Result<Answer> run_solve(const Arguments& arguments);
/// Also writes the files that are asked for.
Result<Answer> run_timeline(const Arguments& arguments);
/// models, gpus, optimizers, families.
Result<Answer> run_table(const Arguments& arguments);
Result<Answer> run_accuracy(const Arguments& arguments);

}  // namespace peakmem::cli
