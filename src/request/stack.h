// The options that name the software a run stands on: whose modelling code, whose training loop.
#pragma once

#include <optional>

#include "request/request.h"

namespace peakmem {

/// The version of transformers that was asked for, else the one the trainer goes with: whose modules the model has.
Transformers asked_transformers(const Options& asked);

/// Reads --trainer and --upcast into the recipe, after its adapters were read.
std::optional<Error> read_stack(const Options& asked, Request& request);

/// Refuses what was not held to the job's version of transformers or to its trainer.
std::optional<Error> check_stack(const Job& job);

}  // namespace peakmem
