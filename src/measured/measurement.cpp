#include "measured/measurement.h"

#include <algorithm>
#include <array>

#include "format/json.h"
#include "format/pickle.h"
#include "measured/oracle_trace.h"
#include "measured/record.h"
#include "measured/snapshot.h"

namespace peakmem {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

/// The categories of the records, and the ledger's.
struct CategoryName {
  std::string_view recorded;
  const char* ours;
};
constexpr std::array kCategories = std::to_array<CategoryName>({{"parameter", "weights"},
                                                                {"gradient", "gradients"},
                                                                {"bucket", "gradients"},
                                                                {"optimizer_state", "optimizer"},
                                                                {"activation", "activations"},
                                                                {"input", "inputs"},
                                                                {"buffer", "buffers"},
                                                                {"model", "buffers"},
                                                                {"backward", "temporaries"},
                                                                {"clip", "temporaries"},
                                                                {"optimizer_temp", "temporaries"}});

std::string category_of(const std::string& recorded) {
  for (const CategoryName& row : kCategories)
    if (row.recorded == recorded) return row.ours;
  return recorded;
}

int64_t whole(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found == nullptr ? 0 : found->integer;
}

std::string text(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found == nullptr ? "" : found->string;
}

/// "float32 [4,12,512,512]  _softmax", as a trace writes it.
std::string group_name(const Value& group) {
  std::string shape;
  if (const Value* sizes = group.find("shape"))
    for (const Value& size : sizes->items) shape += (shape.empty() ? "" : ",") + std::to_string(size.integer);
  std::string op = text(group, "op");
  if (op.starts_with("aten.")) op.erase(0, 5);
  if (op.ends_with(".default")) op.erase(op.size() - 8);
  return text(group, "dtype") + " [" + shape + "]  " + op;
}

/// False where the groups are more than the whole.
bool read_groups(const Value& peak, LiveSet& live) {
  int64_t listed = 0;
  const Value* largest = peak.find("largest");
  if (largest == nullptr) return true;
  for (const Value& group : largest->items) {
    const LiveGroup read = {whole(group, "bytes_each"), whole(group, "count"), group_name(group)};
    int64_t bytes = 0;
    if (read.bytes < 0 || read.count < 0 || __builtin_mul_overflow(read.bytes, read.count, &bytes) ||
        __builtin_add_overflow(listed, bytes, &listed))
      return false;
    if (bytes > 0) live.groups.push_back(read);
  }
  return listed <= live.bytes;
}

/// A record lists what is live at the peak of its last step only; of step 1 it says the level.
Result<LivePeak> record_peak(const Value& line, const Record& record, const MeasurementChoice& choice) {
  LivePeak found;
  found.phases = record.phases;
  const bool first = choice.step == 1;
  const Value* peak = line.find(first ? "peak_step1" : "peak");
  if (peak == nullptr) return Error{"peak_step1", "is not in this record", "drop --step 1"};
  found.live.step = first ? 1 : 2;
  found.live.phase = text(*peak, "phase");
  found.live.bytes = whole(*peak, "bytes");
  if (!choice.phase.empty() && choice.phase != found.live.phase)
    return Error{"--phase", "of a record can only be that of its peak, " + found.live.phase,
                 "measure the case with --trace DIR, and compare with the trace"};
  if (!read_groups(*peak, found.live))
    return Error{"peak.largest", "is more than peak.bytes", "is the record damaged?"};
  if (const Value* categories = peak->find("by_category"))
    for (const Member& member : categories->members)
      found.live.categories[category_of(member.name)] += std::clamp<int64_t>(member.value.integer, 0, found.live.bytes);
  return found;
}

Result<Measurement> read_record_line(const Value& line, const MeasurementChoice& choice) {
  const Result<Record> record = read_record(line);
  if (!record) return record.error();
  Result<LivePeak> peak = record_peak(line, *record, choice);
  if (!peak) return peak.error();
  Measurement measurement;
  measurement.format = "record";
  measurement.model = record->job.description.family;
  measurement.job = record->job;
  measurement.peak = std::move(*peak);
  if (choice.step == 1) measurement.notes.emplace_back("a record lists what is live at the peak of its last step only");
  return measurement;
}

/// The lines of a file that are not blank.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(kBlank) != std::string_view::npos) lines.push_back(line);
  }
  return lines;
}

Error in_line(size_t number, const Error& error) {
  return {"record " + std::to_string(number) + (error.field.empty() ? "" : ", " + error.field), error.problem,
          error.hint};
}

Result<Measurement> read_records(std::string_view text, const MeasurementChoice& choice) {
  const std::vector<std::string_view> lines = lines_of(text);
  const auto count = static_cast<int64_t>(lines.size());
  if (!choice.record && count > 1)
    return Error{"--record", "is missing: the file has " + std::to_string(count) + " records",
                 "pass --record N, from 1 to " + std::to_string(count)};
  const int64_t number = choice.record.value_or(1);
  if (number < 1 || number > count)
    return Error{"--record", std::to_string(number) + " is past the file's " + std::to_string(count) + " records", {}};
  const auto index = static_cast<size_t>(number);
  const Result<Value> line = parse_json(lines[index - 1]);
  if (!line) return in_line(index, line.error());
  Result<Measurement> measurement = read_record_line(*line, choice);
  return measurement || count == 1 ? measurement : in_line(index, measurement.error());
}

/// Whether a text is a record, or the first line of many.
bool is_record(std::string_view text) {
  const Result<Value> value = parse_json(text);
  return value && value->find("case") != nullptr;
}

/// JSON over several lines: one record, or a snapshot.
Result<Measurement> read_json(std::string_view text, const MeasurementChoice& choice) {
  const Result<ObjectFile> file = parse_json_graph(text);
  if (!file) return file.error();
  if (file->root()["case"].is_none()) return read_snapshot(file->root());
  const Result<Value> line = parse_json(text);
  return line ? read_record_line(*line, choice) : Result<Measurement>(line.error());
}

/// What only one of the formats has.
std::optional<Error> check_choice(const Measurement& measurement, const MeasurementChoice& choice) {
  const std::string_view format = measurement.format;
  if (choice.record && format != "record")
    return Error{"--record", "is for a file of records, and this is a " + std::string(format), "drop it"};
  if (!choice.phase.empty() && format == "snapshot") return Error{"--phase", "is not known to a snapshot", "drop it"};
  return std::nullopt;
}

Result<Measurement> read_any(std::string_view text, const MeasurementChoice& choice) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return Error{"", "is empty", {}};
  if (text[begin] == '#') return read_oracle_trace(text.substr(begin), choice);
  const std::string_view first = text.substr(begin, text.find('\n', begin) - begin);
  if (text[begin] == '{') return is_record(first) ? read_records(text, choice) : read_json(text, choice);
  const Result<ObjectFile> file = parse_pickle(text);
  if (file) return read_snapshot(file->root());
  const Error& error = file.error();
  return Error{error.field, "as a pickle, which it must be as it is no JSON and no trace: " + error.problem,
               error.hint};
}

}  // namespace

Result<Measurement> read_measurement(std::string_view text, const MeasurementChoice& choice) {
  Result<Measurement> measurement = read_any(text, choice);
  if (!measurement) return measurement;
  if (auto error = check_choice(*measurement, choice)) return *error;
  return measurement;
}

LiveView view_for(const Measurement& measurement, const MeasurementChoice& choice, const Gpu* gpu) {
  LiveView view;
  view.step =
      measurement.peak.live.step > 0 ? measurement.peak.live.step : static_cast<int32_t>(choice.step.value_or(2));
  view.phase = choice.phase;
  view.in_blocks = measurement.in_blocks;
  view.earlier_apart = measurement.earlier_apart;
  if (measurement.has_workspaces) view.workspace_bytes = cublas_workspace_bytes(gpu);
  return view;
}

}  // namespace peakmem
