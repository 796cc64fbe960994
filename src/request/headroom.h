// What is to stay free on the GPU.
#pragma once

#include "request/request.h"

namespace peakmem {

/// Reads --headroom: bytes (2GiB) or a share of the GPU's memory (10%).
std::optional<Error> read_headroom(const Options& asked, Request& request);

}  // namespace peakmem
