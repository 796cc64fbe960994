// The options of a mixture's experts.
#pragma once

#include <optional>

#include "io/inquiry.h"

namespace peakmem {

/// Reads --moe-imbalance into the recipe, after --experts was read.
std::optional<Error> read_imbalance(const Asked& asked, Inquiry& inquiry);

/// Refuses what experts cannot run in, and says how tokens are taken to be spread over them; after all other choices
/// were read, for the busiest expert is placed where the whole job needs most.
std::optional<Error> read_routing(const Asked& asked, Inquiry& inquiry);

}  // namespace peakmem
