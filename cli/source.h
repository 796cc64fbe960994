// Where a model's config comes from: shipped with the program, a file, a folder, standard input.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/inquiry.h"

namespace peakmem::cli {

/// What a config may at most have, and what was measured: snapshots of long histories are large.
inline constexpr size_t kConfigMaxBytes = size_t{16} << 20;
inline constexpr size_t kMeasurementMaxBytes = size_t{4} << 30;

/// The whole text of a file of at most so many bytes (of standard input where `path` is `-`, which has it once only).
Result<std::string> read_text(const std::string& path, size_t most = kConfigMaxBytes);

/// The config that `name` stands for: MODEL of the command line.
Result<NamedConfig> find_model(std::string_view name);

}  // namespace peakmem::cli
