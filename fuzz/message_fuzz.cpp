// Any text as PyTorch's message about memory: refused with a reason, or sizes that can be looked for.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "measured/out_of_memory.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peakmem;
  const Result<OutOfMemory> message = read_out_of_memory({reinterpret_cast<const char*>(data), size}, "MESSAGE");
  if (!message && message.error().problem.empty()) std::abort();
  if (message && (message->tried.bytes <= 0 || message->tried.slack < 0)) std::abort();
  return 0;
}
