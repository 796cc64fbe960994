// One door for every face that speaks JSON: a request in, a response out.
#pragma once

#include <string>
#include <string_view>

namespace peakmem {

/// The response to `request`, both JSON texts: {"model": name or config, "options": {"batch": 4, ...}} gets an
/// estimate's report. What cannot be answered is {"error": {"field", "problem", "hint"}}.
std::string answer(std::string_view request);

}  // namespace peakmem
