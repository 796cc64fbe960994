// Where a model's config comes from: shipped with the program, a file, a folder, standard input.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/question.h"
#include "launch/launch.h"

namespace peakmem::cli {

/// What a config may at most have, and what was measured: snapshots of long histories are large.
inline constexpr size_t kConfigMaxBytes = size_t{16} << 20;
inline constexpr size_t kMeasurementMaxBytes = size_t{4} << 30;

/// The whole text of a file of at most so many bytes (of standard input where `path` is `-`, which has it once only).
Result<std::string> read_text(const std::string& path, size_t most = kConfigMaxBytes);

/// The text of a file that is a launch file, or of a command line, which has spaces; nothing where `given` is a model's
/// config, a folder, a name, or standard input. `is_launch`: it is one whatever it holds.
Result<std::optional<LaunchText>> find_launch_text(const std::string& given, bool is_launch);
/// What launch files come to, with a model and options beside; files that they name are looked for below the working
/// directory and beside the first.
Result<Subject> launch_subject(std::vector<LaunchText> texts, Subject beside);
/// The same of files by their paths, or command lines.
Result<Subject> find_launch(const std::vector<std::string>& files, Subject beside);

/// The config that `name` stands for: MODEL of the command line.
Result<NamedConfig> find_model(std::string_view name);

}  // namespace peakmem::cli
