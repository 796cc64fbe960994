// What is written: to standard output, and to the files that are asked for.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

#include "size/result.h"

namespace peakmem::cli {

/// Writes all of it to an open stream; else why not. A reader that has gone is a reason as a full disk is.
std::optional<Error> write_all(const std::string& text, std::FILE* to, const std::string& field);

/// Writes a whole file or leaves what was there: the text is written beside it first, then takes its name. What is no
/// plain file (a pipe, a device) is written to as it is. `field` names the option that asked for it.
std::optional<Error> write_file(const std::string& field, const std::string& path, const std::string& text);

}  // namespace peakmem::cli
