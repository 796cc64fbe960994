// peakmem diff: what was measured against what we trace.
#include <algorithm>

#include "commands.h"
#include "report/diff_text.h"
#include "request/option_checks.h"
#include "source.h"
#include "terminal.h"

namespace peakmem::cli {
namespace {

constexpr std::string_view kFormats = "a record or a trace of the oracle, or a snapshot of torch.cuda.memory";

MeasurementChoice choice_of(const Options& asked) {
  MeasurementChoice choice;
  choice.record = asked.size("record");
  if (const std::string* step = asked.text("step")) choice.step = *step == "1" ? 1 : 2;
  if (const std::string* phase = asked.text("phase")) choice.phase = *phase;
  return choice;
}

/// A record says itself what was run: nothing may say it again.
std::optional<Error> check_no_model(const Arguments& arguments, const Measurement& measurement) {
  const std::string says = std::string("a ") + measurement.format + " says itself what was run";
  if (arguments.operands.size() > 1) return Error{"MODEL", says, "drop it"};
  for (const OptionValue& value : arguments.options)
    if (takes(Command::kEstimate, *find_option(value.name)) && value.name != "json")
      return Error{"--" + value.name, says, "drop it"};
  return std::nullopt;
}

/// The job the file says, or the one that MODEL and the options do.
Result<DiffQuestion> question_of(const Arguments& arguments, const Measurement& measurement, Request& request) {
  DiffQuestion question;
  question.name = arguments.operands[0];
  const Options asked(arguments.options);
  if (asked.has("record")) question.name += ", record " + *asked.text("record");
  question.rows = static_cast<size_t>(asked.size("list").value_or(20));
  if (measurement.job) {
    if (auto wrong = check_no_model(arguments, measurement)) return *wrong;
    question.model = measurement.model;
    question.job = *measurement.job;
    return question;
  }
  Arguments of_model = arguments;
  of_model.operands.erase(of_model.operands.begin());
  const Result<Subject> subject = subject_of(of_model);
  if (!subject) return subject.error();
  const NamedConfig* model = subject->model ? &*subject->model : nullptr;
  Result<Request> asked_for = make_request(model, subject->options, arguments.row->command);
  if (!asked_for) return asked_for.error();
  request = std::move(*asked_for);
  question.model = request.name;
  question.job = request.job;
  return question;
}

Error in_file(const std::string& file, const Error& error) {
  const bool option = error.field.starts_with("--");
  return {option ? error.field : file + (error.field.empty() ? "" : ", " + error.field), error.problem, error.hint};
}

}  // namespace

Result<Answer> run_diff(const Arguments& arguments) {
  if (auto wrong = check_options(arguments.options, arguments.row->command)) return *wrong;
  if (arguments.operands.empty()) return Error{"FILE", "is missing", std::string(kFormats)};
  if (arguments.operands.size() > 2) return Error{"MODEL", "is given twice", "peakmem diff FILE [MODEL] [options]"};
  const std::string& file = arguments.operands[0];
  const Result<std::string> text = read_text(file, kMeasurementMaxBytes);
  if (!text) return text.error();
  const Options asked(arguments.options);
  const MeasurementChoice choice = choice_of(asked);
  Result<Measurement> measurement = read_measurement(*text, choice);
  if (!measurement) return in_file(file, measurement.error());
  Request request;
  const Result<DiffQuestion> question = question_of(arguments, *measurement, request);
  if (!question) return question.error();
  Result<LivePeak> ours = live_peak(question->job, view_for(*measurement, choice, request.gpu));
  if (!ours) return ours.error();
  const Diff result = diff(std::move(measurement->peak), std::move(*ours));
  if (asked.flag("json")) return Answer{diff_json(result, *measurement, *question) + "\n"};
  return Answer{diff_text(result, *measurement, *question, terminal_style())};
}

}  // namespace peakmem::cli
