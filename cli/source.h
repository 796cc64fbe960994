// Where a model's config comes from: shipped with the program, a file, a folder, standard input.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/inquiry.h"
#include "launch/launch.h"

namespace peakmem::cli {

/// What a config may at most have, and what was measured: snapshots of long histories are large.
inline constexpr size_t kConfigMaxBytes = size_t{16} << 20;
inline constexpr size_t kMeasurementMaxBytes = size_t{4} << 30;

/// The whole text of a file of at most so many bytes (of standard input where `path` is `-`, which has it once only).
Result<std::string> read_text(const std::string& path, size_t most = kConfigMaxBytes);

/// Whether that is the name of a file.
bool is_file(const std::string& path);
/// The text of a file that is a launch file; nothing where `path` is a model's config, a folder, a name, or standard
/// input. `is_launch`: it is one whatever it holds.
Result<std::optional<LaunchText>> find_launch_text(const std::string& path, bool is_launch);
/// The text of a file that another names: below the working directory, or beside the other.
std::optional<std::string> find_beside(const std::string& path, const std::string& other);

/// The config that `name` stands for: MODEL of the command line.
Result<NamedConfig> find_model(std::string_view name);

}  // namespace peakmem::cli
