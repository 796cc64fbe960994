// The command line as a command, a model and options, in any order.
#pragma once

#include <string>
#include <vector>

#include "api/question.h"

namespace peakmem::cli {

/// What was typed. `help`, `help_all` and `version` say that only that was asked for.
struct Arguments {
  const CommandRow* row = nullptr;
  std::vector<std::string> operands;  // the MODEL, or the files of `accuracy`
  OptionValues options;
  bool help = false;
  bool help_all = false;  // with every option
  bool version = false;
};

/// The first operand that names a command is it, wherever it stands; without one it is the estimate. What stands behind
/// `--` is never a command or an option.
Result<Arguments> parse_arguments(const std::vector<std::string>& words);
/// Words for a command that is known.
Result<Arguments> parse_words(const CommandRow& row, const std::vector<std::string>& words);

}  // namespace peakmem::cli
