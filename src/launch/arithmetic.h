// Whole-number arithmetic as `$(( … ))` of a shell and the right-hand side of a Python assignment have it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace peakmem {

/// What a name in an expression stands for; none where it is not known.
using NameValue = std::function<std::optional<int64_t>(std::string_view name)>;

/// The value of sums, differences, products, quotients (`/` and `//` both cut) and remainders of whole numbers and
/// names, with parentheses; none for anything else, a division by zero, and what leaves 64 bits.
std::optional<int64_t> evaluate_integer(std::string_view text, const NameValue& value_of);

}  // namespace peakmem
