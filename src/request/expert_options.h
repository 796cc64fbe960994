// The options of a mixture's experts.
#pragma once

#include <optional>

#include "request/request.h"

namespace peakmem {

/// Whether each token goes to some experts only: all of Llama 4's see every token, in one product.
bool routes_tokens(const Description& description);

/// Reads --moe-imbalance into the recipe, after --experts was read.
std::optional<Error> read_imbalance(const Options& asked, Request& request);

/// Says how tokens are taken to be spread over the experts; after the job was checked, for the busiest expert is placed
/// where all of it needs most.
std::optional<Error> read_routing(const Options& asked, Request& request);

/// Refuses what experts cannot run in.
std::optional<Error> check_experts(const Job& job);

}  // namespace peakmem
