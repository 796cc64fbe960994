// The command line as a command, a model and options.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "io/options.h"

namespace peakmem::cli {

struct Answer;
struct Arguments;

/// A command by its name; the estimate has none.
struct CommandRow {
  std::string_view name;
  Command command;
  Result<Answer> (*run)(const Arguments& arguments);
  std::string_view synopsis;
  std::string_view help;
};
std::span<const CommandRow> command_rows();

/// What was typed. `help` and `version` say that only that was asked for.
struct Arguments {
  const CommandRow* row = nullptr;
  std::vector<std::string> operands;  // the MODEL, or the files of `accuracy`
  OptionValues options;
  bool help = false;
  bool version = false;
};

Result<Arguments> parse_arguments(int count, const char* const* words);

}  // namespace peakmem::cli
