#include "own_commands.h"

#include <algorithm>
#include <array>

#include "completions.h"
#include "manual.h"
#include "python.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem::cli {
namespace {

Result<std::string> answer_completions(std::span<const std::string> words) {
  if (words.size() != 1) return Error{"SHELL", words.empty() ? "is missing" : "is one word", "one of bash, zsh, fish"};
  const std::vector<std::string_view> shells = shell_names();
  if (std::ranges::find(shells, words[0]) == shells.end())
    return Error{"SHELL", in_quotes(words[0]) + " is not known", did_you_mean(words[0], shells)};
  return completions_for(words[0]);
}

Result<std::string> answer_manual(std::span<const std::string> words) {
  if (!words.empty()) return Error{words[0], "is too much: there is one manual", {}};
  return manual_text();
}

constexpr auto kCommands = std::to_array<OwnCommand>({
    {"help", "peakmem help [COMMAND]", "what a command takes, as COMMAND --help says it", nullptr},
    {"completions", "peakmem completions bash|zsh|fish", "a script that completes commands, options and their values",
     answer_completions},
    {"man", "peakmem man", "the manual page: peakmem man | man -l -", answer_manual},
});

}  // namespace

std::span<const OwnCommand> own_commands() { return kCommands; }

const OwnCommand* find_own_command(std::string_view name) {
  const auto* const found = std::ranges::find(kCommands, name, &OwnCommand::name);
  return found == kCommands.end() ? nullptr : found;
}

std::vector<std::string_view> command_names() {
  std::vector<std::string_view> names;
  for (const CommandRow& row : command_rows()) names.push_back(row.name);
  for (const PythonCommand& row : python_commands()) names.push_back(row.name);
  for (const OwnCommand& row : own_commands()) names.push_back(row.name);
  return names;
}

Result<std::vector<std::string>> words_for_help(std::vector<std::string> words) {
  if (words.empty() || words[0] != "help") return words;
  words.erase(words.begin());
  const std::vector<std::string_view> known = command_names();
  if (!words.empty() && !words[0].starts_with("-") && std::ranges::find(known, words[0]) == known.end())
    return Error{"help", in_quotes(words[0]) + " is no command", did_you_mean(words[0], known)};
  words.emplace_back("--help");
  return words;
}

}  // namespace peakmem::cli
