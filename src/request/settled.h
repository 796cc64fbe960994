// What a job came to: its choices as options, every one said, also those that were taken for granted.
#pragma once

#include "recipe/job.h"
#include "request/options.h"

namespace peakmem {

/// The options of `job` but for its model: asked again with them, it is the same job. Choices that mean nothing here
/// (buckets on one GPU, adapters where there are none) are left out; flags are "true" or "false".
OptionValues settled_options(const Job& job);

/// The options that are said where `name` is: a short name stands for several (precision for itself and autocast).
std::vector<std::string_view> said_by(std::string_view name);

}  // namespace peakmem
