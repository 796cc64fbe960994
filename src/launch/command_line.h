// A command line as what launches, what is launched, and flags.
#pragma once

#include <string>
#include <vector>

#include "format/value.h"
#include "launch/shell.h"
#include "launch/table.h"

namespace peakmem {

/// A command by its parts, each a mapping from names to values: flags before the script (`torchrun --nproc_per_node
/// 4`), those behind it, and the environment. A flag without a value is true, one with several has a list.
struct CommandLine {
  const ToolRow* tool = nullptr;  // null: none that is known
  Value launcher = {.kind = Value::Kind::kObject};
  Value flags = {.kind = Value::Kind::kObject};
  Value environment = {.kind = Value::Kind::kObject};
  std::vector<std::string> words;  // between: the script, a subcommand, a file
};

CommandLine read_command_line(const ShellCommand& command, const std::vector<ToolRow>& tools);

/// The one command of a script that trains. Refused are scripts with none, or with several.
Result<CommandLine> training_command(const ShellScript& script, const std::vector<ToolRow>& tools);

}  // namespace peakmem
