#include "commands.h"

#include <algorithm>

#include "estimate/estimate.h"
#include "estimate/timeline.h"
#include "io/choices.h"
#include "io/report_json.h"
#include "plan/solve.h"
#include "report/formula_text.h"
#include "report/tables.h"
#include "report/text.h"
#include "report/timeline_text.h"
#include "size/nearest.h"
#include "source.h"
#include "terminal.h"

namespace peakmem::cli {
namespace {

bool wants_json(const Arguments& arguments) { return Asked(arguments.options).flag("json"); }
Answer json_answer(std::string text, Exit exit = Exit::kAnswered) { return {std::move(text) + "\n", exit}; }
std::string quoted(std::string_view text) { return "\"" + std::string(text.substr(0, 60)) + "\""; }

/// A command that was meant where a MODEL stands, as a hint; else `otherwise`.
std::string command_hint(std::string_view word, const std::string& otherwise) {
  std::vector<std::string_view> names;
  for (const CommandRow& row : command_rows()) names.push_back(row.name);
  const auto near = nearest(word, std::span(names).subspan(1));  // the first has no name
  return near ? "did you mean the command " + std::string(*near) + "? it comes first" : otherwise;
}

/// The inquiry that the arguments make; options are looked at before any file is.
Result<Inquiry> inquiry_of(const Arguments& arguments) {
  const Command command = arguments.row->command;
  if (auto wrong = check_options(arguments.options, command)) return *wrong;
  if (arguments.operands.size() > 1)
    return Error{"MODEL", "is given twice: " + quoted(arguments.operands[0]) + " and " + quoted(arguments.operands[1]),
                 command_hint(arguments.operands[0], command_hint(arguments.operands[1], {}))};
  if (arguments.operands.empty()) return make_inquiry(nullptr, arguments.options, command);
  const Result<NamedConfig> model = find_model(arguments.operands[0]);
  if (model) return make_inquiry(&*model, arguments.options, command);
  Error error = model.error();
  if (error.field == "MODEL" && !error.hint.starts_with("did you mean"))
    error.hint = command_hint(arguments.operands[0], error.hint);
  return error;
}

Result<Report> report_of(const Inquiry& inquiry) {
  Result<Report> report = estimate(inquiry.job, inquiry.gpu, inquiry.allocator);
  if (!report) return report;
  report->model = inquiry.name;
  report->assumptions.insert(report->assumptions.begin(), inquiry.assumptions.begin(), inquiry.assumptions.end());
  report->warnings.insert(report->warnings.begin(), inquiry.warnings.begin(), inquiry.warnings.end());
  return report;
}

Result<Report> report_at(Inquiry inquiry, Unknown unknown, int64_t value) {
  Recipe& recipe = inquiry.job.recipe;
  (unknown == Unknown::kBatch ? recipe.batch : recipe.seq) = value;
  return report_of(inquiry);
}

std::string solution_answer(const Solution& solution, Inquiry inquiry) {
  Recipe& recipe = inquiry.job.recipe;
  (solution.unknown == Unknown::kBatch ? recipe.batch : recipe.seq) = std::max<int64_t>(1, solution.value);
  const auto none = Result<Report>(Error{});
  const bool full = solution.next_peak_bytes == 0;  // there is no next one: the position table ends
  const Result<Report> fits = solution.value > 0 ? report_at(inquiry, solution.unknown, solution.value) : none;
  const Result<Report> next = full ? none : report_at(inquiry, solution.unknown, solution.value + 1);
  return solution_text(solution, inquiry, fits ? &*fits : nullptr, next ? &*next : nullptr, terminal_style());
}

/// What stands in the way of solving; `for` and `gpu` must be there.
std::optional<Error> check_solve(const Asked& asked) {
  if (!asked.has("for")) return Error{"--for", "is missing", "pass --for batch or --for seq"};
  if (!asked.has("gpu")) return Error{"--gpu", "is missing", "peakmem gpus lists those that are known"};
  if (const std::string& unknown = *asked.text("for"); asked.has(unknown))
    return Error{"--" + unknown, "is what is asked for", "drop it, or solve for the other"};
  return std::nullopt;
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

Answer textbook_answer(const Inquiry& inquiry, const FormulaChoices& choices, bool json) {
  const std::vector<Textbook> rows = textbook(inquiry.job);
  return json ? json_answer(textbook_json(rows, inquiry))
              : Answer{textbook_text(rows, inquiry, choices, terminal_style())};
}

}  // namespace

Result<Answer> run_estimate(const Arguments& arguments) {
  const Result<Inquiry> inquiry = inquiry_of(arguments);
  if (!inquiry) return inquiry.error();
  const Result<Report> report = report_of(*inquiry);
  if (!report) return report.error();
  const std::vector<Knob> changes = knobs(inquiry->job, inquiry->gpu, report->allocated_bytes);
  const Exit exit = report->fits && !report->fits->fits ? Exit::kDoesNotFit : Exit::kAnswered;
  if (wants_json(arguments)) return json_answer(report_json(*report, changes), exit);
  return Answer{report_text(*report, changes, *inquiry, terminal_style()), exit};
}

Result<Answer> run_formula(const Arguments& arguments) {
  const Result<Inquiry> inquiry = inquiry_of(arguments);
  if (!inquiry) return inquiry.error();
  const Asked asked(arguments.options);
  const Result<FormulaChoices> choices = choices_of(asked);
  if (!choices) return choices.error();
  if (asked.flag("textbook")) return textbook_answer(*inquiry, *choices, wants_json(arguments));
  const Result<FormulaReport> report = formulas(inquiry->job);
  if (!report) return report.error();
  if (wants_json(arguments)) return json_answer(formula_json(*report, *inquiry, *choices));
  return Answer{formula_text(*report, *inquiry, *choices, terminal_style())};
}

Result<Answer> run_solve(const Arguments& arguments) {
  if (auto wrong = check_options(arguments.options, arguments.row->command)) return *wrong;
  const Asked asked(arguments.options);
  if (auto wrong = check_solve(asked)) return *wrong;
  const Result<Inquiry> inquiry = inquiry_of(arguments);
  if (!inquiry) return inquiry.error();
  const Result<Solution> solution =
      solve(inquiry->job, *asked.text("for") == "batch" ? Unknown::kBatch : Unknown::kSeq, *inquiry->gpu);
  if (!solution) return solution.error();
  const Exit exit = solution->value > 0 ? Exit::kAnswered : Exit::kDoesNotFit;
  if (wants_json(arguments)) return json_answer(solution_json(*solution, *inquiry), exit);
  return Answer{solution_answer(*solution, *inquiry), exit};
}

Result<Answer> run_timeline(const Arguments& arguments) {
  const Result<Inquiry> inquiry = inquiry_of(arguments);
  if (!inquiry) return inquiry.error();
  const Result<MemoryTimeline> timeline = memory_timeline(inquiry->job, inquiry->gpu, inquiry->allocator);
  if (!timeline) return timeline.error();
  const Asked asked(arguments.options);
  std::optional<Error> wrong;
  if (const std::string* path = asked.text("svg"); path != nullptr && !wrong)
    wrong = write_file("--svg", *path, timeline_svg(*timeline, *inquiry));
  if (const std::string* path = asked.text("csv"); path != nullptr && !wrong)
    wrong = write_file("--csv", *path, timeline_csv(*timeline));
  if (const std::string* path = asked.text("perfetto"); path != nullptr && !wrong)
    wrong = write_file("--perfetto", *path, timeline_perfetto(*timeline, *inquiry) + "\n");
  if (wrong) return *wrong;
  return Answer{timeline_text(*timeline, *inquiry, terminal_style())};
}

Result<Answer> run_table(const Arguments& arguments) {
  if (auto wrong = check_options(arguments.options, arguments.row->command)) return *wrong;
  if (!arguments.operands.empty()) return Error{arguments.operands[0], "is too much: this command takes no MODEL", {}};
  const std::string_view name = arguments.row->name;
  const Table table = name == "models"       ? models_table()
                      : name == "gpus"       ? gpus_table()
                      : name == "optimizers" ? optimizers_table()
                                             : families_table();
  return wants_json(arguments) ? json_answer(table_json(table)) : Answer{table_text(table, terminal_style())};
}

}  // namespace peakmem::cli
