// Commands about the program itself: help, completions, its manual.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/question.h"

namespace peakmem::cli {

/// A command that is not about a model. `answer` gets the words behind its name.
struct OwnCommand {
  std::string_view name;
  std::string_view synopsis;
  std::string_view help;
  Result<std::string> (*answer)(std::span<const std::string> words);
};
std::span<const OwnCommand> own_commands();
/// Null if there is none of that name.
const OwnCommand* find_own_command(std::string_view name);

/// The names of all commands: those about a model, those of the Python package, and these.
std::vector<std::string_view> command_names();

/// `help solve` as `solve --help`; other words as they are. What is no command is refused.
Result<std::vector<std::string>> words_for_help(std::vector<std::string> words);

}  // namespace peakmem::cli
