// peakmem emit: a job as a launch file of another tool.
#include <filesystem>

#include "api/request_of.h"
#include "commands.h"
#include "format/json_writer.h"
#include "launch/emit.h"
#include "output.h"
#include "size/bytes.h"
#include "size/wording.h"
#include "source.h"

namespace peakmem::cli {
namespace {

std::string options_line(const OptionValues& options) {
  std::string text;
  for (const OptionValue& option : options) text += " --" + option.name + " " + option.text;
  return text;
}

/// What the file comes to, on one line.
std::string peak_line(const Report& report) {
  std::string line = "peakmem " PEAKMEM_VERSION ": peak " + in_binary_units(report.tensor_bytes) + " of tensors, " +
                     in_binary_units(report.device.likely) + " on the device";
  if (report.fits) line += "; " + report.fits->gpu + ": " + report.fits->verdict;
  return line;
}

/// JSON has no comments, and stands alone.
std::string with_comments(const Emitted& emitted, const Report& report, const std::string& name) {
  if (emitted.text.starts_with('{')) return emitted.text;
  std::string text = "# " + peak_line(report) + "\n";
  if (!emitted.start.empty()) text += "# start: " + emitted.start + "\n";
  if (!emitted.beside.empty())
    text +=
        "# it does not say" + options_line(emitted.beside) + ": peakmem " + name + options_line(emitted.beside) + "\n";
  for (const std::string& instead : emitted.instead) text += "# not asked, and so there: " + instead + "\n";
  return text + emitted.text;
}

std::string as_json(const Emitted& emitted, const Report& report, std::string_view format) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", "peakmem/1");
  out.member("format", format);
  out.member("text", emitted.text);
  out.member("start", emitted.start);
  out.member("command", emitted.launch.notes.command);
  out.key("instead");
  out.begin_list();
  for (const std::string& instead : emitted.instead) out.value(instead);
  out.end_list();
  out.member("tensor_bytes", report.tensor_bytes);
  out.member("reserved_bytes", report.reserved.likely);
  out.member("device_bytes", report.device.likely);
  out.end_object();
  return std::move(out).text() + "\n";
}

/// The name that the file is to have: of --save, else one that says whose it is.
std::string name_of(const std::string* path, const std::string& format) {
  if (path != nullptr && *path != "-") return std::filesystem::path(*path).filename().string();
  const bool flags = format == "hf" || format == "swift";
  return format + (flags ? ".sh" : format == "deepspeed" ? ".json" : ".yaml");
}

}  // namespace

Result<Answer> run_emit(Arguments arguments) {
  if (arguments.operands.empty())
    return Error{"FORMAT", "is missing", "such as: peakmem emit trl llama-3.1-8b; known: " + list_of(emit_formats())};
  const std::string format = arguments.operands[0];
  arguments.operands.erase(arguments.operands.begin());
  Result<Subject> subject = subject_of(arguments);
  if (!subject) return subject.error();
  const std::optional<std::string> path = take_option(subject->options, "save");
  const bool json = take_option(subject->options, "json").has_value();
  if (!subject->model) return Error{"MODEL", "is missing", "a launch file names a model, and sizes alone have no name"};
  const std::string name = name_of(path ? &*path : nullptr, format);
  Result<Emitted> emitted = emit_launch({format, *subject->model, subject->options}, name, find_model);
  if (!emitted) return emitted.error();
  const Subject read = {emitted->launch.model, emitted->launch.options, emitted->launch.notes,
                        emitted->launch.assumptions};
  const Result<Request> request = request_of(read, Command::kEstimate);
  if (!request) return request.error();
  const Result<Report> report = report_of(*request);
  if (!report) return report.error();
  const bool fits = !report->fits || report->fits->fits;
  const std::string text = json ? as_json(*emitted, *report, format) : with_comments(*emitted, *report, name);
  if (!path || *path == "-") return Answer{text, fits};
  if (auto wrong = write_file("--save", *path, text)) return *wrong;
  return Answer{"wrote " + *path + ": " + (emitted->start.empty() ? "sh " + *path : emitted->start) + "\n", fits};
}

}  // namespace peakmem::cli
