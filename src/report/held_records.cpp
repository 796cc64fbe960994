#include "report/held_records.h"

#include "format/json.h"
#include "measured/gpu_record.h"
#include "report/stack_records.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kShown = 10;  // differences below the tables

template <class Each>
void for_each_accuracy(const HeldRecords& held, const Each& each) {
  for (const Accuracy& family : held.families) each(family, family.name, "tensor_bytes");
  for (const AllocatorAccuracy& gpu : held.gpus) {
    each(gpu.allocated, gpu.name, "allocated_bytes");
    each(gpu.reserved, gpu.name, "reserved_bytes");
  }
}

std::vector<Difference> differences_of(const HeldRecords& held) {
  std::vector<Difference> all;
  for_each_accuracy(held, [&all](const Accuracy& accuracy, std::string_view, std::string_view) {
    all.insert(all.end(), accuracy.differences.begin(), accuracy.differences.end());
  });
  return all;
}

std::string difference_lines(const std::vector<Difference>& differences) {
  std::string text;
  for (size_t i = 0; i < differences.size() && i < kShown; ++i) {
    const Difference& number = differences[i];
    text += "\nnot met: " + number.where + ", " + std::string(number.what) + ": " + grouped(number.ours) +
            ", measured " + grouped(number.measured);
  }
  if (differences.size() > kShown)
    text += "\nand " + std::to_string(differences.size() - kShown) + " more: --json names them all";
  return text.empty() ? text : text + "\n";
}

}  // namespace

std::optional<Error> hold_to_records(std::string_view jsonl, const std::string& file, HeldRecords& held) {
  size_t number = 0;
  while (!jsonl.empty()) {
    const size_t end = jsonl.find('\n');
    const std::string_view text = jsonl.substr(0, end);
    jsonl = end == std::string_view::npos ? std::string_view() : jsonl.substr(end + 1);
    ++number;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Result<Value> line = parse_json(text);
    if (!line) return Error{"record " + std::to_string(number), line.error().problem, line.error().hint};
    const std::string where = file + ":" + std::to_string(number);
    if (is_stack_record(*line))
      hold_to_stack_record(*line, where, held.families, held.gpus);
    else if (is_gpu_record(*line))
      hold_to_gpu_record(*line, where, held.gpus);
    else
      hold_to_record(*line, where, held.families);
  }
  return std::nullopt;
}

std::string held_table(const HeldRecords& held) {
  const std::string families = held.families.empty() ? "" : accuracy_table(held.families);
  const std::string gpus = held.gpus.empty() ? "" : allocator_accuracy_table(held.gpus);
  const std::string tables = families.empty() || gpus.empty() ? families + gpus : families + "\n" + gpus;
  return tables + difference_lines(differences_of(held));
}

void write_held(const HeldRecords& held, JsonWriter& out) {
  out.key("groups");
  out.begin_list();
  for_each_accuracy(held, [&out](const Accuracy& accuracy, std::string_view name, std::string_view what) {
    out.begin_object();
    out.member("name", name);
    out.member("what", what);
    out.member("numbers", static_cast<int64_t>(accuracy.errors.size()));
    out.member("exact", static_cast<int64_t>(accuracy.exact));
    out.member("median_error", accuracy.median());
    out.member("worst_error", accuracy.worst());
    out.member("not_covered", static_cast<int64_t>(accuracy.records_not_covered()));
    out.end_object();
  });
  out.end_list();
  out.key("differences");
  out.begin_list();
  for (const Difference& number : differences_of(held)) {
    out.begin_object();
    out.member("where", number.where);
    out.member("what", number.what);
    out.member("ours", number.ours);
    out.member("measured", number.measured);
    out.end_object();
  }
  out.end_list();
}

}  // namespace peakmem
