// peakmem's own launch file: a model and options, as YAML that the command line writes and takes.
#pragma once

#include <string>

#include "launch/understanding.h"
#include "request/named_config.h"

namespace peakmem {

/// `peakmem: 1`, the model by its name, and every option that was given, in order.
std::string own_text(const std::string& model, const OptionValues& options);

/// Takes every member of such a file but those two for an option. Refused are names that are none.
std::optional<Error> take_own(const Value& object, const std::string& file, Understanding& u);

}  // namespace peakmem
