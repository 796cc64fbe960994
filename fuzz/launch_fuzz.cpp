// Any text as a launch file: refused with a reason, or options that are known.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "launch/launch.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peakmem;
  static const Result<NamedConfig> model = shipped_config("gpt2");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const LaunchQuestion question = {{{"x", std::string(text)}}, "", {{"seq", "64"}}, *model};
  const Result<Launch> launch = read_launch(question, shipped_config, nullptr);
  if (!launch && launch.error().problem.empty()) std::abort();
  if (launch)
    for (const OptionValue& option : launch->options)
      if (find_option(option.name) == nullptr) std::abort();
  return 0;
}
