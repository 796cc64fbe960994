// Any lines as options of a shipped model: refused with a reason, or a request that can be answered.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "estimate/estimate.h"
#include "request/request.h"

namespace {

/// Each line is an option: its name, a space, its value.
peakmem::OptionValues options_of(std::string_view text) {
  peakmem::OptionValues values;
  while (!text.empty() && values.size() < 64) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    const size_t space = line.find(' ');
    values.push_back({std::string(line.substr(0, space)),
                      space == std::string_view::npos ? std::string() : std::string(line.substr(space + 1))});
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return values;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peakmem;
  static const Result<NamedConfig> model = shipped_config("gpt2");
  const OptionValues values = options_of({reinterpret_cast<const char*>(data), size});
  const bool bare = size % 2 == 1;  // half of the inputs describe their model by options
  const Result<Request> request = make_request(bare ? nullptr : &*model, values, Command::kEstimate);
  if (!request) {
    if (request.error().problem.empty()) std::abort();
    return 0;
  }
  (void)estimate(request->job, request->gpu);
  return 0;
}
