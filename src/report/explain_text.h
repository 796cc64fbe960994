// What a message about memory speaks of, for people and as JSON.
#pragma once

#include <string>

#include "estimate/explain.h"
#include "measured/out_of_memory.h"
#include "report/page.h"
#include "request/request.h"

namespace peakmem {

std::string explain_text(const Explanation& explanation, const OutOfMemory& message, const Request& request,
                         const Style& style);
/// {"schema", "model", "explain": {"message", "matches", "nearest", "fits", "remedies"}, "assumptions", "warnings"}.
std::string explain_json(const Explanation& explanation, const OutOfMemory& message, const Request& request);

}  // namespace peakmem
