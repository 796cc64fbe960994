// Preference training from its options: what is compared, and with what.
#pragma once

#include "request/request.h"

namespace peakmem {

/// Reads --objective and --reference; the trainer and adapters are read before.
std::optional<Error> read_preference(const Options& asked, Request& request);
/// What TRL does not do, or was not measured.
std::optional<Error> check_preference(const Job& job);

}  // namespace peakmem
