// What a training loop holds from one step to the next, and whether the model keeps a cache.
#pragma once

#include <optional>

#include "request/request.h"

namespace peakmem {

/// --init, --keep-outputs and --use-cache; called once the trainer, checkpointing and kernels are known.
std::optional<Error> read_loop(const Options& asked, Request& request);

/// A cache where the model can have none.
std::optional<Error> check_loop(const Job& job);

}  // namespace peakmem
