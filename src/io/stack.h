// The options that name the software a run stands on: whose modelling code, whose training loop.
#pragma once

#include <optional>

#include "io/inquiry.h"

namespace peakmem {

/// The version of transformers that was asked for, else the one the trainer goes with: whose modules the model has.
Transformers asked_transformers(const Asked& asked);

/// Reads --transformers, --trainer and --upcast into the recipe, after all its other choices were read; refuses what
/// was not held to that software.
std::optional<Error> read_stack(const Asked& asked, Inquiry& inquiry);

}  // namespace peakmem
