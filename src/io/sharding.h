// The options that spread a model over ranks.
#pragma once

#include <optional>

#include "io/inquiry.h"

namespace peakmem {

/// Reads --ddp, --fsdp, --hsdp and what goes with them into the recipe, after all its other choices were read; refuses
/// what contradicts itself or is not modelled.
std::optional<Error> read_sharding(const Asked& asked, Inquiry& inquiry);

}  // namespace peakmem
