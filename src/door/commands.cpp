#include <algorithm>

#include "door/inquire.h"
#include "door/stacks.h"
#include "estimate/context.h"
#include "estimate/estimate.h"
#include "estimate/failure.h"
#include "estimate/timeline.h"
#include "io/offer.h"
#include "io/recorded.h"
#include "io/report_json.h"
#include "report/advice_text.h"
#include "report/formula_text.h"
#include "report/text.h"
#include "report/timeline_json.h"
#include "report/timeline_text.h"
#include "size/wording.h"

namespace peakmem {
namespace {

Result<FormulaChoices> choices_of(const Asked& asked) {
  FormulaChoices choices;
  if (asked.flag("latex")) choices.notation = Notation::kLatex;
  const std::string* simplify = asked.text("simplify");
  if (simplify == nullptr) return choices;
  const Result<double> share = parse_share(*simplify, "--simplify");
  if (!share) return share.error();
  choices.simplify = *share;
  return choices;
}

/// In short what would make a job fit that does not.
std::string advice_behind(const Question& question, bool fits) {
  if (kJsonAlone || fits) return {};
  const Subject& subject = question.subject;
  const Result<Advice> advice = advise(subject.model ? &*subject.model : nullptr, subject.options, kBriefly);
  if (!advice) return {};
  Page page(question.style);
  write_advice(page, *advice);
  return std::move(page).text();
}

}  // namespace

Result<Answer> answer_estimate(const Question& question) {
  if (auto answer = answer_stack(question)) return *answer;
  const Result<Inquiry> inquiry = inquire(question.subject, Command::kEstimate);
  if (!inquiry) return inquiry.error();
  Result<Report> report = report_of(*inquiry);
  if (!report) return report.error();
  if (report->fits && report->device.likely > inquiry->gpu->memory_bytes)  // room that is to stay free fails nothing
    report->failure = point_of_failure(inquiry->job, *inquiry->gpu, inquiry->allocator, *report);
  if (report->fits)
    report->fits->context_at_most = deciding_context(inquiry->job, *inquiry->gpu, inquiry->allocator, *report);
  std::vector<Knob> changes = knobs(inquiry->job, inquiry->gpu, report->block_bytes);
  const Subject& subject = question.subject;
  std::erase_if(changes, [&](const Knob& knob) {
    return !can_be_asked(subject.model ? &*subject.model : nullptr, subject.options, *inquiry, knob.change);
  });
  const bool fits = !report->fits || report->fits->fits;
  if (wants_json(question)) return json_answer(report_json(*report, changes, inquiry->job), fits);
  return Answer{report_text(*report, changes, *inquiry, question.style) + advice_behind(question, fits), fits};
}

Result<Answer> answer_formula(const Question& question) {
  const Asked asked(question.subject.options);
  if (asked.flag("textbook")) return answer_textbook(question);
  Result<Inquiry> inquiry = inquire(question.subject, Command::kFormula);
  if (!inquiry) return inquiry.error();
  if (is_cut_by_numbers(inquiry->job.recipe))
    inquiry->assumptions.emplace_back(
        "letters: those of the run; the model's sizes are numbers, by which ranks cut it");
  const Result<FormulaChoices> choices = choices_of(asked);
  if (!choices) return choices.error();
  const Result<FormulaReport> report = formulas(inquiry->job);
  if (!report) return report.error();
  if (wants_json(question)) return json_answer(formula_json(*report, *inquiry, *choices));
  return Answer{formula_text(*report, *inquiry, *choices, question.style)};
}

Result<Answer> answer_textbook(const Question& question) {
  const Result<Inquiry> inquiry = inquire(question.subject, Command::kFormula);
  if (!inquiry) return inquiry.error();
  if (inquiry->job.recording)
    return Error{"--textbook", "the formulas in circulation are of a model's sizes, which a trace does not say",
                 "drop it"};
  const Result<FormulaChoices> choices = choices_of(Asked(question.subject.options));
  if (!choices) return choices.error();
  const std::vector<Textbook> rows = textbook(inquiry->job);
  if (wants_json(question)) return json_answer(textbook_json(rows, *inquiry));
  return Answer{textbook_text(rows, *inquiry, *choices, question.style)};
}

Result<Answer> answer_timeline(const Question& question) {
  const Result<Inquiry> inquiry = inquire(question.subject, Command::kTimeline);
  if (!inquiry) return inquiry.error();
  const Result<MemoryTimeline> timeline = memory_timeline(inquiry->job, inquiry->gpu, inquiry->allocator);
  if (!timeline) return timeline.error();
  if (wants_json(question)) return json_answer(timeline_json(*timeline, *inquiry));
  switch (question.form) {
    case Form::kJson:
    case Form::kText:
    case Form::kJsonLines:
      break;
    case Form::kSvg:
      return Answer{timeline_svg(*timeline, *inquiry)};
    case Form::kCsv:
      return Answer{timeline_csv(*timeline)};
    case Form::kPerfetto:
      return json_answer(timeline_perfetto(*timeline, *inquiry));
  }
  return Answer{timeline_text(*timeline, *inquiry, question.style)};
}

}  // namespace peakmem
