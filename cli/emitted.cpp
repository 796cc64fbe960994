#include "emitted.h"

#include "api/request_of.h"
#include "format/json_writer.h"
#include "launch/emit.h"
#include "size/bytes.h"
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
  out.key("beside");
  out.begin_list();
  for (const OptionValue& option : emitted.beside) out.value("--" + option.name + " " + option.text);
  out.end_list();
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

}  // namespace

std::string emitted_name(const std::string& format) {
  const bool flags = format == "hf" || format == "swift";
  return format + (flags ? ".sh" : format == "deepspeed" ? ".json" : ".yaml");
}

Result<EmittedFile> emitted_file(const std::string& format, const Subject& subject, const std::string& name,
                                 bool json) {
  if (!subject.model) return Error{"MODEL", "is missing", "a launch file names a model, and sizes alone have no name"};
  Result<Emitted> emitted = emit_launch({format, *subject.model, subject.options}, name, find_model);
  if (!emitted) return emitted.error();
  const Subject read = {emitted->launch.model, emitted->launch.options, emitted->launch.notes,
                        emitted->launch.assumptions};
  const Result<Request> request = request_of(read, Command::kEstimate);
  if (!request) return request.error();
  const Result<Report> report = report_of(*request);
  if (!report) return report.error();
  const bool fits = !report->fits || report->fits->fits;
  return EmittedFile{{json ? as_json(*emitted, *report, format) : with_comments(*emitted, *report, name), fits},
                     emitted->start};
}

Result<Answer> emitted_json(const std::string& format, const Subject& subject) {
  Result<EmittedFile> file = emitted_file(format, subject, emitted_name(format), true);
  return file ? Result<Answer>(std::move(file->answer)) : file.error();
}

}  // namespace peakmem::cli
