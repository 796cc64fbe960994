#include "report/held_records.h"

#include "io/gpu_record.h"
#include "io/json.h"

namespace peakmem {

std::optional<Error> hold_to_records(std::string_view jsonl, HeldRecords& held) {
  size_t number = 0;
  while (!jsonl.empty()) {
    const size_t end = jsonl.find('\n');
    const std::string_view text = jsonl.substr(0, end);
    jsonl = end == std::string_view::npos ? std::string_view() : jsonl.substr(end + 1);
    ++number;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Result<Value> line = parse_json(text);
    if (!line) return Error{"record " + std::to_string(number), line.error().problem, line.error().hint};
    if (is_gpu_record(*line))
      hold_to_gpu_record(*line, held.gpus);
    else
      hold_to_record(*line, held.families);
  }
  return std::nullopt;
}

std::string held_table(const HeldRecords& held) {
  const std::string families = held.families.empty() ? "" : accuracy_table(held.families);
  const std::string gpus = held.gpus.empty() ? "" : allocator_accuracy_table(held.gpus);
  return families.empty() || gpus.empty() ? families + gpus : families + "\n" + gpus;
}

}  // namespace peakmem
