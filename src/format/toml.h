// TOML, as torchtitan's job files are.
#pragma once

#include <cstddef>
#include <string_view>

#include "format/value.h"
#include "size/result.h"

namespace peakmem {

inline constexpr size_t kTomlMaxBytes = size_t{1} << 20;

/// The table that the text says; dates are texts. The Error's `field` is the place, as "line 3".
Result<Value> parse_toml(std::string_view text);

}  // namespace peakmem
