#include <algorithm>

#include "api/request_of.h"
#include "api/stacks.h"
#include "estimate/context.h"
#include "estimate/estimate.h"
#include "estimate/failure.h"
#include "estimate/lengths.h"
#include "estimate/timeline.h"
#include "report/formula_text.h"
#include "report/report_json.h"
#include "report/text.h"
#include "report/timeline_json.h"
#include "report/timeline_text.h"
#include "request/offer.h"
#include "request/recorded.h"
#include "size/wording.h"

namespace peakmem {
namespace {

Result<FormulaChoices> choices_of(const Options& asked) {
  FormulaChoices choices;
  if (asked.flag("latex")) choices.notation = Notation::kLatex;
  const std::string* simplify = asked.text("simplify");
  if (simplify == nullptr) return choices;
  const Result<double> share = parse_share(*simplify, "--simplify");
  if (!share) return share.error();
  choices.simplify = *share;
  return choices;
}

}  // namespace

namespace {

/// What batches of other lengths take.
std::optional<Error> add_lengths(const Request& request, Report& report) {
  std::vector<LengthRow> rows;
  for (const BatchLength& length : request.lengths) rows.push_back({length.share, length.seq, 0, 0, {}});
  Result<std::vector<LengthRow>> filled =
      at_lengths(request.job, std::move(rows), request.gpu, request.allocator, request.headroom_bytes);
  if (!filled) return filled.error();
  report.lengths = std::move(*filled);
  return std::nullopt;
}

}  // namespace

Result<Answer> answer_estimate(const Question& question) {
  if (auto answer = answer_stack(question)) return *answer;
  const Result<Request> request = request_of(question.subject, Command::kEstimate);
  if (!request) return request.error();
  Result<Report> report = report_of(*request);
  if (!report) return report.error();
  if (auto wrong = add_lengths(*request, *report)) return *wrong;
  if (report->fits && report->device.likely > request->gpu->memory_bytes)  // room that is to stay free fails nothing
    report->failure = point_of_failure(request->job, *request->gpu, request->allocator, *report);
  if (report->fits)
    report->fits->context_at_most = deciding_context(request->job, *request->gpu, request->allocator, *report);
  std::vector<Knob> changes = knobs(request->job, request->gpu, report->block_bytes);
  const Subject& subject = question.subject;
  std::erase_if(changes, [&](const Knob& knob) {
    return !can_be_asked(subject.model ? &*subject.model : nullptr, subject.options, *request, knob.change);
  });
  const bool fits = !report->fits || report->fits->fits;
  if (wants_json(question)) return json_answer(report_json(*report, changes, request->job), fits);
  return Answer{
      report_text(*report, changes, *request, question.style) + advice_behind(question, question.subject.options, fits),
      fits};
}

Result<Answer> answer_formula(const Question& question) {
  const Options asked(question.subject.options);
  if (asked.flag("textbook")) return answer_textbook(question);
  Result<Request> request = request_of(question.subject, Command::kFormula);
  if (!request) return request.error();
  if (is_cut_by_numbers(request->job.recipe))
    request->assumptions.emplace_back(
        "letters: those of the run; the model's sizes are numbers, by which ranks cut it");
  const Result<FormulaChoices> choices = choices_of(asked);
  if (!choices) return choices.error();
  const Result<FormulaReport> report = formulas(request->job);
  if (!report) return report.error();
  if (wants_json(question)) return json_answer(formula_json(*report, *request, *choices));
  return Answer{formula_text(*report, *request, *choices, question.style)};
}

Result<Answer> answer_textbook(const Question& question) {
  const Result<Request> request = request_of(question.subject, Command::kFormula);
  if (!request) return request.error();
  if (request->job.recording)
    return Error{"--textbook", "the formulas in circulation are of a model's sizes, which a trace does not say",
                 "drop it"};
  const Result<FormulaChoices> choices = choices_of(Options(question.subject.options));
  if (!choices) return choices.error();
  const std::vector<Textbook> rows = textbook(request->job);
  if (wants_json(question)) return json_answer(textbook_json(rows, *request));
  return Answer{textbook_text(rows, *request, *choices, question.style)};
}

Result<Answer> answer_timeline(const Question& question) {
  const Result<Request> request = request_of(question.subject, Command::kTimeline);
  if (!request) return request.error();
  const Result<MemoryTimeline> timeline = memory_timeline(request->job, request->gpu, request->allocator);
  if (!timeline) return timeline.error();
  if (wants_json(question)) return json_answer(timeline_json(*timeline, *request));
  switch (question.form) {
    case Form::kJson:
    case Form::kText:
    case Form::kJsonLines:
      break;
    case Form::kSvg:
      return Answer{timeline_svg(*timeline, *request)};
    case Form::kCsv:
      return Answer{timeline_csv(*timeline)};
    case Form::kPerfetto:
      return json_answer(timeline_perfetto(*timeline, *request));
  }
  return Answer{timeline_text(*timeline, *request, question.style)};
}

}  // namespace peakmem
