// What weights are kept in, and what autocast runs over them.
#pragma once

#include <optional>

#include "io/inquiry.h"

namespace peakmem {

/// Reads --precision and --autocast into the recipe, and says what half precision leaves unsaid.
std::optional<Error> read_precision(const Asked& asked, Inquiry& inquiry);

}  // namespace peakmem
