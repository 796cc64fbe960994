// The options that put fused kernels in place of transformers' own code.
#pragma once

#include <optional>

#include "request/request.h"

namespace peakmem {

/// Reads --kernels, --norm, --mlp, --rope and --loss into the recipe, after its trainer and the GPU were read.
std::optional<Error> read_kernels(const Options& asked, Request& request);

/// Refuses kernels that the libraries do not have for this model, and what they would raise for.
std::optional<Error> check_kernels(const Job& job);

}  // namespace peakmem
