// The command line as a command, a model and options.
#pragma once

#include <string>
#include <vector>

#include "door/question.h"

namespace peakmem::cli {

/// What was typed. `help` and `version` say that only that was asked for.
struct Arguments {
  const CommandRow* row = nullptr;
  std::vector<std::string> operands;  // the MODEL, or the files of `accuracy`
  OptionValues options;
  bool help = false;
  bool version = false;
};

/// The first word may name the command; without one it is the estimate.
Result<Arguments> parse_arguments(int count, const char* const* words);
/// Words behind the command.
Result<Arguments> parse_words(const CommandRow& row, std::vector<std::string> words);

}  // namespace peakmem::cli
