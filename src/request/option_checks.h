// Options held to their table before anybody reads them.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "request/options.h"

namespace peakmem {

/// The first thing wrong: an unknown option, one given twice, one `command` does not take, a value that is none.
/// `letters`: what can be solved for or swept over beside the options.
std::optional<Error> check_options(const OptionValues& values, Command command,
                                   std::span<const std::string_view> letters = {});

}  // namespace peakmem
