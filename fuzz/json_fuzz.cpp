// Any bytes: they are refused with a reason, or read and written to the same value.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "format/json.h"
#include "format/json_writer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peakmem;
  const Result<Value> value = parse_json({reinterpret_cast<const char*>(data), size});
  if (!value) {
    if (value.error().problem.empty()) std::abort();
    return 0;
  }
  const std::string written = to_json(*value);
  const Result<Value> again = parse_json(written);
  if (!again || to_json(*again) != written) std::abort();
  return 0;
}
