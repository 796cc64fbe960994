// Writing YAML, by libyaml's own emitter.
#pragma once

#include <string>

#include "format/value.h"

namespace peakmem {

/// `value` as a YAML document in block style, lists of plain texts on one line; read again it is the same value.
std::string to_yaml(const Value& value);

}  // namespace peakmem
