#include "python.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

#include "api/question.h"
#include "size/wording.h"

namespace peakmem::cli {
namespace {

constexpr auto kCommands = std::to_array<PythonCommand>({
    {"dry-run", "peakmem.dry_run", "peakmem dry-run --gpu NAME -- COMMAND",
     "runs a training script without a GPU, on PyTorch's own allocator"},
    {"verify", "peakmem.verify", "peakmem verify",
     "runs trainings on the GPU that is here, and prints ours beside theirs"},
});

/// What traces any module; it is no command of its own, see words_for_tracer.
constexpr PythonCommand kTracer = {"--via torch", "peakmem.trace", "", ""};

/// Says what to do where the package is missing, and what the command is to who asks; else runs the module as -m does.
constexpr std::string_view kProgram = R"(import runpy, sys
module, synopsis, summary = sys.argv[1:4]
del sys.argv[1:4]
try:
    import peakmem
except ImportError:
    if synopsis and any(word.startswith("--help") for word in sys.argv[1:]):
        print("Usage: " + synopsis + "\n  " + summary + "\n")
        print("Its options are the Python package's, which is not installed for", sys.executable)
        sys.exit(0)
    print("peakmem: the Python package is not installed for", sys.executable, file=sys.stderr)
    print("  install it there (docs/python.md), or name another Python in PEAKMEM_PYTHON", file=sys.stderr)
    sys.exit(2)
runpy.run_module(module, run_name="__main__", alter_sys=True)
)";

/// FILE.py:FUNCTION, and not a line of a message that names a file so.
bool names_factory(std::string_view word) {
  constexpr std::string_view kEnding = ".py:";
  const size_t at = word.find(kEnding);
  if (at == std::string_view::npos) return false;
  const std::string_view name = word.substr(at + kEnding.size());
  const auto in_name = [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; };
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 && std::ranges::all_of(name, in_name);
}

}  // namespace

std::span<const PythonCommand> python_commands() { return kCommands; }
const PythonCommand& tracer() { return kTracer; }

const PythonCommand* find_python_command(std::string_view name) {
  const auto* const found = std::ranges::find(kCommands, name, &PythonCommand::name);
  return found == kCommands.end() ? nullptr : found;
}

Result<std::vector<std::string>> words_for_tracer(std::vector<std::string> words) {
  const bool said = !words.empty() && (words[0] == "trace" || words[0] == "estimate");
  if (said) words.erase(words.begin());
  bool via = !words.empty() && names_factory(words[0]);
  for (auto word = words.begin(); word != words.end();) {
    const bool apart = *word == "--via" && word + 1 != words.end() && word[1] == "torch";
    const bool whole = *word == "--via=torch";
    via = via || apart || whole;
    word = apart ? words.erase(word, word + 2) : whole ? words.erase(word) : word + 1;
  }
  if (!via) return std::vector<std::string>();
  if (!said && find_command(words.empty() ? "" : words[0]) != nullptr)
    return Error{"--via", "torch answers what a training needs, and not " + in_quotes(words[0]),
                 "peakmem trace MODEL --save mine.peakmem keeps the trace, which is a MODEL to every command"};
  words.insert(words.begin(), "trace");
  return words;
}

Error become_python(const PythonCommand& command, const std::vector<std::string>& words) {
  const char* chosen = std::getenv("PEAKMEM_PYTHON");
  const std::string python = chosen != nullptr && *chosen != '\0' ? chosen : "python3";
  std::vector<std::string> line = {python,
                                   "-c",
                                   std::string(kProgram),
                                   std::string(command.module),
                                   std::string(command.synopsis),
                                   std::string(command.help)};
  line.insert(line.end(), words.begin() + 1, words.end());
  std::vector<char*> arguments;
  for (std::string& word : line) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execvp(python.c_str(), arguments.data());
  return {std::string(command.name), "needs Python, and " + in_quotes(python) + " cannot be started",
          "install it, or name another one in PEAKMEM_PYTHON"};
}

}  // namespace peakmem::cli
