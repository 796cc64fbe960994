// YAML as the tools that read launch files do: PyYAML's YAML 1.1, in which `2e-5` is a text, `no` is false, `010` is 8.
#pragma once

#include <cstddef>
#include <string_view>

#include "format/value.h"
#include "size/result.h"

namespace peakmem {

/// What a text may at most be, so that a hostile one costs little: its bytes, its nesting, its values with every alias
/// written out.
inline constexpr size_t kYamlMaxBytes = size_t{4} << 20;
inline constexpr size_t kYamlMaxDepth = 32;
inline constexpr size_t kYamlMaxValues = 20'000;

/// The value of the text's only document; a document without content is null. Merge keys (`<<`) are merged.
/// Refused are tags other than YAML's own scalars', a name that stands twice in a mapping, and more than one document.
/// The Error's `field` is the place, as "line 3", if there is one.
Result<Value> parse_yaml(std::string_view text);

/// What a plain scalar means: null, a bool, a number or a text.
Value yaml_scalar(std::string_view text);

}  // namespace peakmem
