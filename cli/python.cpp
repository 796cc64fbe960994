#include "python.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

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

/// Says what to do where the package is missing; else runs the module as -m does.
constexpr std::string_view kProgram = R"(import runpy, sys
module = sys.argv.pop(1)
try:
    import peakmem
except ImportError:
    print("peakmem: the Python package is not installed for", sys.executable, file=sys.stderr)
    print("  install it there, or name another Python in PEAKMEM_PYTHON", file=sys.stderr)
    sys.exit(2)
runpy.run_module(module, run_name="__main__", alter_sys=True)
)";

}  // namespace

std::span<const PythonCommand> python_commands() { return kCommands; }
const PythonCommand& tracer() { return kTracer; }

const PythonCommand* find_python_command(std::string_view name) {
  const auto* const found = std::ranges::find(kCommands, name, &PythonCommand::name);
  return found == kCommands.end() ? nullptr : found;
}

std::optional<std::vector<std::string>> words_for_tracer(const std::vector<std::string>& words) {
  std::vector<std::string> rest = {"trace"};
  bool via = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool apart = words[i] == "--via" && i + 1 < words.size() && words[i + 1] == "torch";
    via = via || apart || words[i] == "--via=torch" || words[i].find(".py:") != std::string::npos;
    if (apart) ++i;
    const bool command = words[i] == "trace" || words[i] == "estimate";
    if (!apart && words[i] != "--via=torch" && !(command && i == 0)) rest.push_back(words[i]);
  }
  return via ? std::optional(std::move(rest)) : std::nullopt;
}

Error become_python(const PythonCommand& command, const std::vector<std::string>& words) {
  const char* chosen = std::getenv("PEAKMEM_PYTHON");
  const std::string python = chosen != nullptr && *chosen != '\0' ? chosen : "python3";
  std::vector<std::string> line = {python, "-c", std::string(kProgram), std::string(command.module)};
  line.insert(line.end(), words.begin() + 1, words.end());
  std::vector<char*> arguments;
  for (std::string& word : line) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execvp(python.c_str(), arguments.data());
  return {std::string(command.name), "needs Python, and " + in_quotes(python) + " cannot be started",
          "install it, or name another one in PEAKMEM_PYTHON"};
}

}  // namespace peakmem::cli
