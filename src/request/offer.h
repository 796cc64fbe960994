// Whether a change that would help can be asked for.
#pragma once

#include "request/request.h"

namespace peakmem {

/// Whether a change of options ("--checkpointing full") is one that the same checks let pass, without a warning that
/// was not there before. `model` and `values` are those that `request` was made of. A change in other words passes.
bool can_be_asked(const NamedConfig* model, OptionValues values, const Request& request, std::string_view change);

}  // namespace peakmem
