// The options that spread a model over ranks.
#pragma once

#include <optional>

#include "request/request.h"

namespace peakmem {

/// Reads --ddp, --fsdp, --hsdp and what goes with them into the recipe, after all its other choices were read.
std::optional<Error> read_sharding(const Options& asked, Request& request);

/// Refuses what ranks contradict, what fails over them and what of them is not modelled.
std::optional<Error> check_sharding(const Job& job);

}  // namespace peakmem
