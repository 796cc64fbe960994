#include <algorithm>

#include "api/request_of.h"
#include "estimate/failure.h"
#include "plan/sought.h"
#include "report/cards_text.h"
#include "report/report_json.h"
#include "report/text.h"
#include "request/gpu_choice.h"
#include "request/option_checks.h"
#include "request/recorded.h"
#include "size/wording.h"

namespace peakmem {
namespace {

const NamedConfig* model_of(const Question& question) {
  return question.subject.model ? &*question.subject.model : nullptr;
}

/// What stands in the way of solving; `for` must be there, and `gpu` unless it is what is asked for.
std::optional<Error> check_solve(const Options& asked) {
  if (!asked.has("for")) return Error{"--for", "is missing", "pass --for batch or --for seq"};
  const std::string& sought = *asked.text("for");
  if (!asked.has("gpu") && sought != "gpu")
    return Error{"--gpu", "is missing", "peakmem gpus lists those that are known"};
  for (const std::string& unknown : entries_of(sought))
    if (asked.has(unknown) && unknown != "gpu")
      return Error{"--" + unknown, "is what is asked for", "drop it, or solve for the other"};
  return std::nullopt;
}

void warn_of_positions(const Solution& solution, Request& request) {
  if (request.job.recording) return;
  const int64_t longest = request.job.description.longest_sequence();
  if (solution.name == "seq" && solution.value > longest)
    request.warnings.push_back("seq " + std::to_string(solution.value) + " is past the " + std::to_string(longest) +
                               " positions of the config");
}

/// The report of the request at a value; nothing where the value is none.
std::optional<Report> report_at(const Sought& sought, int64_t value) {
  if (value == 0) return std::nullopt;
  const Result<Request> request = sought.at(value);
  if (!request) return std::nullopt;
  Result<Report> report = report_of(*request);
  return report ? std::optional(std::move(*report)) : std::nullopt;
}

/// Which allocation fails at the next value.
std::optional<Failure> failure_at(const Sought& sought, int64_t value, const std::optional<Report>& report) {
  if (!report || report->device.likely <= sought.request.gpu->memory_bytes) return std::nullopt;
  const Result<Request> request = sought.at(value);
  if (!request) return std::nullopt;
  return point_of_failure(request->job, *request->gpu, request->allocator, *report);
}

const Report* pointer_to(const std::optional<Report>& report) { return report ? &*report : nullptr; }

/// The options of the smallest that was sought, which does not fit.
OptionValues options_of_none(OptionValues values, const Solution& solution) {
  if (!solution.smallest && find_option(solution.name) != nullptr)
    values.push_back({solution.name, std::to_string(solution.next)});
  return values;
}

/// The answer for one unknown on one card.
Result<Answer> one_answer(const Question& question, const OptionValues& values, const std::string& name) {
  Result<Sought> sought = read_sought(model_of(question), values, name);
  if (!sought) return sought.error();
  const Subject& subject = question.subject;
  add_launch_notes(subject, sought->request);
  Result<Solution> solution = solve_for(*sought);
  if (!solution) return solution.error();
  warn_of_positions(*solution, sought->request);
  const bool fits = solution->value > 0;
  const std::optional<Report> next = report_at(*sought, solution->next);
  solution->failure = failure_at(*sought, solution->next, next);
  if (wants_json(question)) return json_answer(solution_json(*solution, sought->request), fits);
  const std::optional<Report> best = report_at(*sought, solution->value);
  const Result<Request> shown = sought->at(fits ? solution->value : solution->next);
  if (shown) sought->request.job = shown->job;
  const std::string text =
      solution_text(*solution, sought->request, pointer_to(best), pointer_to(next), question.style);
  return Answer{text + advice_behind(question, options_of_none(values, *solution), fits), fits};
}

Result<Answer> cards_answer(const Question& question, const Result<Cards>& cards) {
  if (!cards) return cards.error();
  const bool any = std::any_of(cards->rows.begin(), cards->rows.end(), [](const CardRow& row) { return fits(row); });
  if (wants_json(question)) return json_answer(cards_json(*cards), any);
  return Answer{cards_text(*cards, question.style), any};
}

Result<Answer> frontier_answer(const Question& question, const OptionValues& values,
                               const std::vector<std::string>& names) {
  const Result<Frontier> found = frontier(model_of(question), values, {names[0], names[1]});
  if (!found) return found.error();
  const bool fits = !found->points.empty();
  if (question.form == Form::kSvg) return Answer{frontier_svg(*found), fits};
  if (question.form == Form::kCsv) return Answer{frontier_csv(*found), fits};
  if (wants_json(question)) return json_answer(frontier_json(*found), fits);
  return Answer{frontier_text(*found, question.style), fits};
}

}  // namespace

Result<Answer> answer_solve(const Question& question) {
  OptionValues values = question.subject.options;
  if (auto wrong = check_options(values, Command::kSolve, letter_names(model_of(question)))) return *wrong;
  if (auto wrong = check_solve(Options(values))) return *wrong;
  const std::string sought = *take_option(values, "for");
  const std::vector<std::string> names = entries_of(sought);
  const bool is_file = question.form == Form::kSvg || question.form == Form::kCsv;
  if (is_file && names.size() != 2)
    return Error{question.form == Form::kSvg ? "--svg" : "--csv", "is of two unknowns", "such as --for batch,seq"};
  const std::optional<std::string> gpu = take_option(values, "gpu");
  if (kJsonAlone && (names.size() > 1 || sought == "gpu"))  // not offered where the page asks, and left out of it
    return Error{"--for", "is one size here", "such as batch"};
  if (sought == "gpu")
    return cards_answer(question, choose_card(model_of(question), values, gpu ? gpus_of(*gpu) : all_cards()));
  if (!kJsonAlone && gpu->find(',') != std::string::npos && names.size() == 1)
    return cards_answer(question, solve_cards(model_of(question), values, gpus_of(*gpu), sought));
  values.push_back({"gpu", *gpu});
  return names.size() == 2 ? frontier_answer(question, values, names) : one_answer(question, values, sought);
}

namespace {

/// The question about one of the cards.
Question on_card(Question question, const std::string& card) {
  for (Subject* subject : {&question.subject, &question.other}) {
    if (!Options(subject->options).has("gpu")) continue;
    take_option(subject->options, "gpu");
    subject->options.push_back({"gpu", card});
  }
  return question;
}

/// One answer after the other.
Result<Answer> each_answer(const CommandRow& row, const Question& question, const std::vector<std::string>& cards) {
  Answer all = {"", false};
  for (const std::string& card : cards) {
    const Result<Answer> answer = row.answer(on_card(question, card));
    if (!answer) return answer.error();
    all.fits = all.fits || answer->fits;
    if (wants_json(question))
      all.text += (all.text.empty() ? "" : ",\n") + answer->text;
    else
      all.text += (all.text.empty() ? "" : "\n") + card + "\n\n" + answer->text;
  }
  if (!wants_json(question)) return all;
  all.text = "{\n  \"schema\": \"" + std::string(kSchema) + "\",\n  \"answers\": [\n" + all.text + "  ]\n}\n";
  return all;
}

}  // namespace

Result<Answer> answer_question(const CommandRow& row, const Question& question) {
  const std::string* gpu = Options(question.subject.options).text("gpu");
  const bool several = gpu != nullptr && gpu->find(',') != std::string::npos;
  // The page asks several cards for an estimate alone.
  const bool alone = kJsonAlone && row.command != Command::kEstimate;
  if (!several || alone || row.command == Command::kSolve) return row.answer(question);
  if (auto wrong = check_options(question.subject.options, row.command, letter_names(model_of(question))))
    return *wrong;
  const std::vector<std::string> cards = gpus_of(*gpu);
  if (!kJsonAlone && row.command != Command::kEstimate) return each_answer(row, question, cards);
  OptionValues values = question.subject.options;
  take_option(values, "gpu");
  return cards_answer(question, estimate_cards(model_of(question), values, cards));
}

}  // namespace peakmem
