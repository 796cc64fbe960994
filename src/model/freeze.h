// Parameters that are not trained, by their names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "size/result.h"

namespace peakmem {

/// Whether a parameter's name is one of those a pattern stands for. As Python's fnmatch has it, `*` is any text, dots
/// too, `?` one character, `[0-3]` one of several, `[!0-3]` any other; beyond that, numbers from 0 to 11 are `0-11`
/// where a name has a number between dots: `model.layers.0-11.*`.
bool matches(std::string_view pattern, std::string_view name);

/// What is wrong with a pattern, if anything is.
std::optional<Error> check_pattern(std::string_view pattern, std::string_view field);

/// The parameters that want no gradient. Names are those of named_parameters() of the Hugging Face model.
struct Freeze {
  std::vector<std::string> patterns;

  bool covers(std::string_view name) const;
};

}  // namespace peakmem
