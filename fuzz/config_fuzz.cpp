// Any bytes as a config: refused with a reason, or a model whose step can be traced; never a crash, never a hang.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "estimate/estimate.h"
#include "format/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peakmem;
  const Result<Value> value = parse_json({reinterpret_cast<const char*>(data), size});
  if (!value) return 0;
  std::vector<std::string> unknown;
  const Result<Description> description = read_description(*value, nullptr, unknown);
  if (!description) {
    if (description.error().problem.empty()) std::abort();
    return 0;
  }
  Job job{*description, Recipe{}};
  job.recipe.optimizer = find_optimizer("adamw");
  const Result<Report> report = estimate(job, nullptr);
  if (!report) return 0;
  int64_t sum = 0;
  for (const LedgerRow& row : report->ledger) sum += row.bytes;
  if (sum != report->allocated_bytes) std::abort();
  return 0;
}
