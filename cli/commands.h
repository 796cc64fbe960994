// From arguments to what is printed.
#pragma once

#include "arguments.h"

namespace peakmem::cli {

/// Exit codes: answered (and it fits, if asked), does not fit, bad usage or bad input.
enum class Exit : uint8_t { kAnswered = 0, kDoesNotFit = 1, kBadInput = 2 };

/// The subject that the arguments are about; options are looked at before any file is.
Result<Subject> subject_of(const Arguments& arguments);

/// What the arguments ask for; also writes the files that are asked for.
Result<Answer> run(const Arguments& arguments);
/// A record, a trace or a snapshot against ours.
Result<Answer> run_diff(const Arguments& arguments);
/// A message of PyTorch's about memory, as an argument or on standard input.
Result<Answer> run_explain(Arguments arguments);
Result<Answer> run_trace(const Arguments& arguments);
/// A job as a launch file; the first operand is whose.
Result<Answer> run_emit(Arguments arguments);
/// A plan as a launch file.
Result<Answer> run_plan_emit(Arguments arguments);
/// A sweep of more points than are asked for at once, into the one file that is asked for; nothing of another. An ended
/// one goes on where it ended.
std::optional<Result<Answer>> run_large_sweep(const Arguments& arguments, const Question& question);
Result<Answer> run_accuracy(const Arguments& arguments);

}  // namespace peakmem::cli
