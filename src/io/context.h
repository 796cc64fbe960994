// What stands above the allocator on a GPU, as it is asked.
#pragma once

#include "io/inquiry.h"

namespace peakmem {

/// Reads --context into the inquiry's GPU: `lazy`, `eager`, a size, or the text of a file that peakmem verify wrote.
std::optional<Error> read_context(const Asked& asked, Inquiry& inquiry);

}  // namespace peakmem
