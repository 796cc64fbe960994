// Where a model's config comes from: shipped with the program, a file, a folder, standard input.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/inquiry.h"

namespace peakmem::cli {

/// The whole text of a file of at most 16 MiB (of standard input where `path` is `-`).
Result<std::string> read_text(const std::string& path);

/// Writes a whole file; `field` names the option that asked for it.
std::optional<Error> write_file(const std::string& field, const std::string& path, const std::string& text);

/// The config that `name` stands for: MODEL of the command line.
Result<NamedConfig> find_model(std::string_view name);

}  // namespace peakmem::cli
