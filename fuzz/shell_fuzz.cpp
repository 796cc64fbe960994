// Any bytes as a shell script: refused with a reason, or a bounded number of words.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "launch/shell.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peakmem;
  const Result<ShellScript> script = read_shell({reinterpret_cast<const char*>(data), size});
  if (!script && script.error().problem.empty()) std::abort();
  size_t words = 0;
  if (script)
    for (const ShellCommand& command : script->commands) words += command.words.size();
  if (words > kShellMaxWords) std::abort();
  return 0;
}
