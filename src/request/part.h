// A part of a model of several kinds of input, as a model of its own: `--part text`.
#pragma once

#include "request/request.h"

namespace peakmem {

/// The part that is asked for, by its own config within the model's; the model itself where none is.
Result<NamedConfig> part_of(const NamedConfig& model, const Options& asked, std::vector<std::string>& assumptions);

}  // namespace peakmem
