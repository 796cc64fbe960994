// A shell script as the commands it runs, as far as reading goes: assignments, defaults, arrays and whole-number
// arithmetic. Nothing is run.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "size/result.h"

namespace peakmem {

/// A command: the variables in front of it or exported before, and its words.
struct ShellCommand {
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> words;
};

/// What a script says. What only running it would tell is named in `unresolved`, and stands in the words as `$NAME`.
struct ShellScript {
  std::vector<ShellCommand> commands;
  std::vector<std::string> unresolved;
};

inline constexpr size_t kShellMaxBytes = size_t{1} << 20;
inline constexpr size_t kShellMaxWords = 20'000;

/// The commands of `text`. Refused are quotes and brackets that do not end, and more words than a script has.
Result<ShellScript> read_shell(std::string_view text);

}  // namespace peakmem
