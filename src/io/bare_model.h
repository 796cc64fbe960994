// A model described by its sizes instead of a config.
#pragma once

#include <string>
#include <vector>

#include "io/inquiry.h"

namespace peakmem {

/// Whether the options describe a model of their own.
bool has_bare_sizes(const Asked& asked);

/// A config of --family with the sizes that were asked for, and `transformers`' defaults for the others. A size that is
/// a symbol gets a value that goes with the rest.
Result<NamedConfig> bare_config(const Asked& asked, std::vector<std::string>& assumptions);

}  // namespace peakmem
