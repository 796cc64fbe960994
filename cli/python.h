// Commands that the Python package answers, because they run PyTorch.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "size/result.h"

namespace peakmem::cli {

/// A command of the Python package, as the help lists it.
struct PythonCommand {
  std::string_view name;
  std::string_view module;
  std::string_view synopsis;
  std::string_view help;
};
std::span<const PythonCommand> python_commands();
/// What traces any module that torch runs.
const PythonCommand& tracer();
/// Null if there is none of that name.
const PythonCommand* find_python_command(std::string_view name);

/// The words for peakmem.trace, where they ask for PyTorch's own modelling code: `--via torch`, or FILE.py:FUNCTION as
/// the MODEL, which comes first; none where they do not. Commands that a tracer does not answer are refused.
Result<std::vector<std::string>> words_for_tracer(std::vector<std::string> words);

/// Becomes `python3 -m` of the command (or $PEAKMEM_PYTHON) with the words that follow it; returns only where that
/// fails.
Error become_python(const PythonCommand& command, const std::vector<std::string>& words);

}  // namespace peakmem::cli
