// What stands above the allocator on a GPU, as it is asked.
#pragma once

#include "request/request.h"

namespace peakmem {

/// Reads --context into the request's GPU: `lazy`, `eager`, a size, or the text of a file that peakmem verify wrote.
std::optional<Error> read_context(const Options& asked, Request& request);

}  // namespace peakmem
