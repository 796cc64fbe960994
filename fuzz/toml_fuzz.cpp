// Any bytes as TOML: refused with a reason, or a table.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "format/toml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peakmem;
  const Result<Value> value = parse_toml({reinterpret_cast<const char*>(data), size});
  if (!value && value.error().problem.empty()) std::abort();
  return 0;
}
