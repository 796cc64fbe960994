// JSON: reading it, and how it writes a number.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "format/objects.h"
#include "format/value.h"
#include "size/result.h"

namespace peakmem {

/// What a text may at most be, so that a hostile one costs little: its bytes, its nesting, its values.
inline constexpr size_t kJsonMaxBytes = size_t{16} << 20;
inline constexpr size_t kJsonMaxDepth = 64;
inline constexpr size_t kJsonMaxValues = 1'000'000;

/// The value `text` says. Of an object every member is kept, also where a name stands twice.
/// The Error's `field` is the place, as "line 3, column 14", if there is one.
Result<Value> parse_json(std::string_view text);
/// The same as a graph, of a text of any size, within Objects::kMax values.
Result<ObjectFile> parse_json_graph(std::string_view text);

/// A finite number as JSON writes it: digits that read back as the same double, and a point or an exponent, so that it
/// stays one.
std::string json_number(double number);

}  // namespace peakmem
