// What is refused of a job, whoever says it: the command line's options, Python's, the page's, or a record's case.
#pragma once

#include <optional>

#include "recipe/job.h"
#include "size/result.h"

namespace peakmem {

/// The first thing that PyTorch or its libraries would raise an error for, or that is not modelled. An error names the
/// option that says it, and what to pass instead.
std::optional<Error> check_job(const Job& job);

}  // namespace peakmem
