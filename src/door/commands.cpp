#include <algorithm>

#include "door/inquire.h"
#include "estimate/context.h"
#include "estimate/estimate.h"
#include "estimate/failure.h"
#include "estimate/timeline.h"
#include "io/offer.h"
#include "io/recorded.h"
#include "io/report_json.h"
#include "plan/solve.h"
#include "report/formula_text.h"
#include "report/text.h"
#include "report/timeline_json.h"
#include "report/timeline_text.h"
#include "size/wording.h"

namespace peakmem {
namespace {

Result<Report> report_at(Inquiry inquiry, Unknown unknown, int64_t value) {
  set_size(inquiry.job, unknown, value);
  return report_of(inquiry);
}

std::string solution_page(const Solution& solution, Inquiry inquiry, const Style& style) {
  set_size(inquiry.job, solution.unknown, solution.value > 0 ? solution.value : solution.next);
  const auto none = Result<Report>(Error{});
  const bool full = solution.next_peak_bytes == 0;  // there is no next one: the position table ends
  const Result<Report> fits = solution.value > 0 ? report_at(inquiry, solution.unknown, solution.value) : none;
  const Result<Report> next = full ? none : report_at(inquiry, solution.unknown, solution.next);
  return solution_text(solution, inquiry, fits ? &*fits : nullptr, next ? &*next : nullptr, style);
}

/// What stands in the way of solving; `for` and `gpu` must be there.
std::optional<Error> check_solve(const Asked& asked) {
  if (!asked.has("for")) return Error{"--for", "is missing", "pass --for batch or --for seq"};
  if (!asked.has("gpu")) return Error{"--gpu", "is missing", "peakmem gpus lists those that are known"};
  if (const std::string& unknown = *asked.text("for"); asked.has(unknown))
    return Error{"--" + unknown, "is what is asked for", "drop it, or solve for the other"};
  return std::nullopt;
}

/// What is solved for; of a recording a letter, which its replay may be pinned to.
Result<Unknown> unknown_of(const Asked& asked, Inquiry& inquiry) {
  Job& job = inquiry.job;
  const std::string& name = *asked.text("for");
  if (!job.recording) {
    const bool targets_follow = job.description.task == Task::kSeq2SeqLm && !asked.has("target-seq");
    return find_unknown(name, targets_follow);
  }
  const int32_t letter = find_letter(*job.recording, name);
  if (letter < 0) return Error{"--for", in_quotes(name) + " is no letter of this trace", {}};
  job.sought = static_cast<size_t>(letter);
  std::vector<int64_t> others = job.letters;
  ++others[job.sought];
  if (job.recording->letters[job.sought].fixed) return *check_values(*job.recording, others);
  if (!can_be_replayed(*job.recording, others)) inquiry.allocator.reset();
  return Unknown::kLetter;
}

void warn_of_positions(const Solution& solution, Inquiry& inquiry) {
  if (inquiry.job.recording) return;
  const int64_t longest = inquiry.job.description.longest_sequence();
  if (name_of(solution.unknown) == "seq" && solution.value > longest)
    inquiry.warnings.push_back("seq " + std::to_string(solution.value) + " is past the " + std::to_string(longest) +
                               " positions of the config");
}

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

}  // namespace

Result<Answer> answer_estimate(const Question& question) {
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
  return Answer{report_text(*report, changes, *inquiry, question.style), fits};
}

Result<Answer> answer_formula(const Question& question) {
  const Asked asked(question.subject.options);
  if (asked.flag("textbook")) return answer_textbook(question);
  const Result<Inquiry> inquiry = inquire(question.subject, Command::kFormula);
  if (!inquiry) return inquiry.error();
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

Result<Answer> answer_solve(const Question& question) {
  const NamedConfig* model = question.subject.model ? &*question.subject.model : nullptr;
  if (auto wrong = check_options(question.subject.options, Command::kSolve, letter_names(model))) return *wrong;
  const Asked asked(question.subject.options);
  if (auto wrong = check_solve(asked)) return *wrong;
  Result<Inquiry> inquiry = inquire(question.subject, Command::kSolve);
  if (!inquiry) return inquiry.error();
  const Result<Unknown> unknown = unknown_of(asked, *inquiry);
  if (!unknown) return unknown.error();
  const Result<Solution> solution =
      solve(inquiry->job, *unknown, *inquiry->gpu, inquiry->allocator, inquiry->headroom_bytes);
  if (!solution) return solution.error();
  warn_of_positions(*solution, *inquiry);
  const bool fits = solution->value > 0;
  if (wants_json(question)) return json_answer(solution_json(*solution, *inquiry), fits);
  return Answer{solution_page(*solution, *inquiry, question.style), fits};
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
