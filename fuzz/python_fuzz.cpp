// Any bytes as Python: refused with a reason, or calls.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "launch/python_calls.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peakmem;
  const Result<PythonFile> file = read_python({reinterpret_cast<const char*>(data), size});
  if (!file && file.error().problem.empty()) std::abort();
  return 0;
}
