// peakmem accuracy: our error on every record of a real PyTorch step, and on published runs of real GPUs.

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <sstream>

#include "api/request_of.h"
#include "api/stacks.h"
#include "commands.h"
#include "format/json.h"
#include "report/held_records.h"
#include "report/published.h"
#include "report/report_json.h"
#include "request/option_values.h"
#include "source.h"

namespace peakmem::cli {
namespace {

namespace fs = std::filesystem;

/// The files of a folder of the repository: below the working directory, or below the folder the build directory
/// stands in.
std::vector<std::string> shipped(const fs::path& folder, std::string_view extension) {
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  for (const fs::path& root : {fs::path("."), program.parent_path().parent_path()}) {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(root / folder, failed))
      if (entry.path().extension() == extension) files.push_back(entry.path().string());
    std::sort(files.begin(), files.end());
    if (!files.empty()) return files;
  }
  return {};
}

Result<HeldRecords> hold_to_files(const std::vector<std::string>& files) {
  HeldRecords held;
  for (const std::string& file : files) {
    const Result<std::string> text = read_text(file);
    if (!text) return text.error();
    if (const auto wrong = hold_to_records(*text, file, held))
      return Error{file + ", " + wrong->field, wrong->problem, wrong->hint};
  }
  return held;
}

/// The question of a command line.
Result<Subject> subject_of_line(const std::string& line) {
  std::istringstream words(line);
  const Result<Arguments> arguments = parse_words(
      *find_command("estimate"), {std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()});
  if (!arguments) return arguments.error();
  return subject_of(*arguments);
}

/// What its rank holds, if it asks about a stack that runs rank by rank.
std::optional<Result<RankClass>> rank_of_line(const std::string& line) {
  const Result<Subject> subject = subject_of_line(line);
  return subject ? rank_of_stack(*subject) : std::nullopt;
}

/// What the program is asked by a command line.
Result<Request> request_of_line(const std::string& line) {
  const Result<Subject> subject = subject_of_line(line);
  if (!subject) return subject.error();
  return request_of(*subject, Command::kEstimate);
}

Result<HeldSource> hold_to_published(const std::string& file) {
  const Result<std::string> text = read_text(file);
  if (!text) return text.error();
  const Result<Value> value = parse_json(*text);
  if (!value) return Error{file + ", " + value.error().field, value.error().problem, value.error().hint};
  const Result<PublishedSource> source = read_published(*value);
  if (!source) return Error{file + ", " + source.error().field, source.error().problem, source.error().hint};
  HeldSource held = {*source, {}};
  for (const PublishedRow& row : source->rows) {
    const auto wrong = [&](const Error& error) {
      return Error{file + ", " + row.row, error.field + " " + error.problem, error.hint};
    };
    const auto stack = rank_of_line(row.command);
    if (stack) {
      if (!*stack) return wrong(stack->error());
      held.rows.push_back({row, (*stack)->allocated_bytes, (*stack)->reserved_bytes, 0, {}});
      continue;
    }
    const Result<Request> request = request_of_line(row.command);
    if (!request) return wrong(request.error());
    const Result<Report> report = report_of(*request);
    if (!report) return wrong(report.error());
    held.rows.push_back(held_row(row, *report));
    if (row.tokens_per_second <= 0 || request->gpu == nullptr) continue;
    const Result<StepTime> time = step_time(request->job, *request->gpu);
    if (!time) return wrong(time.error());
    held.rows.back().tokens_per_second = time->tokens_per_second;
  }
  return held;
}

std::string as_text(const HeldRecords& held, const std::vector<HeldSource>& sources) {
  std::string text = held_table(held);
  if (!sources.empty()) text += (text.empty() ? "" : "\n") + published_table(sources);
  const std::string throughput = throughput_table(sources);
  return throughput.empty() ? text : text + "\n" + throughput;
}

std::string as_json(const HeldRecords& held, const std::vector<HeldSource>& sources) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", kSchema);
  write_held(held, out);
  out.key("published");
  write_published(sources, out);
  out.end_object();
  return std::move(out).text() + "\n";
}

}  // namespace

Result<Answer> run_accuracy(const Arguments& arguments) {
  std::vector<std::string> records, published;
  for (const std::string& file : arguments.operands) (file.ends_with(".json") ? published : records).push_back(file);
  if (arguments.operands.empty()) {
    records = shipped(fs::path("oracle") / "records", ".jsonl");
    for (std::string& file : shipped(fs::path("oracle") / "gpu" / "records", ".jsonl"))
      if (!file.ends_with("kernels.jsonl")) records.push_back(std::move(file));
    published = shipped(fs::path("data") / "published", ".json");
    if (records.empty())
      return Error{"accuracy", "finds no oracle/records here", "name the files: peakmem accuracy records.jsonl"};
  }
  const Result<HeldRecords> held = hold_to_files(records);
  if (!held) return held.error();
  std::vector<HeldSource> sources;
  for (const std::string& file : published) {
    Result<HeldSource> source = hold_to_published(file);
    if (!source) return source.error();
    sources.push_back(std::move(*source));
  }
  return Answer{Options(arguments.options).flag("json") ? as_json(*held, sources) : as_text(*held, sources)};
}

}  // namespace peakmem::cli
