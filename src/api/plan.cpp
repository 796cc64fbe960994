#include "plan/plan.h"

#include "api/request_of.h"
#include "report/plan_text.h"

namespace peakmem {
namespace {

const NamedConfig* model_of(const Question& question) {
  return question.subject.model ? &*question.subject.model : nullptr;
}

Result<Answer> answer_why(const Question& question, const std::string& text) {
  const OptionValues& options = question.subject.options;
  const Result<PlanSpace> space = space_of(model_of(question), options);
  if (!space) return space.error();
  const Result<int64_t> id = parse_plan_id(text, *space, "--why");
  if (!id) return id.error();
  const Result<PlanReason> reason = explain_plan(model_of(question), options, *id);
  if (!reason) return reason.error();
  const bool fits = reason->plan && reason->plan->verdict.fits;
  const std::string model = model_of(question) == nullptr ? "" : model_of(question)->name;
  if (wants_json(question)) return json_answer(reason_json(*reason, *id, model), fits);
  return Answer{reason_text(*reason, *id, model, question.style), fits};
}

}  // namespace

Result<Answer> answer_plan(const Question& question) {
  const Options asked(question.subject.options);
  if (asked.has("emit"))
    return Error{"--emit", "writes a file, which only the command line does",
                 "take the plan's command, and peakmem emit"};
  if (const std::string* id = asked.text("why")) return answer_why(question, *id);
  const Result<Plans> plans = find_plans(model_of(question), question.subject.options);
  if (!plans) return plans.error();
  const bool fits = !plans->top.empty();
  switch (question.form) {
    case Form::kSvg:
      return Answer{plans_svg(*plans), fits};
    case Form::kCsv:
      return Answer{plans_csv(*plans), fits};
    case Form::kText:
      return Answer{plans_text(*plans, question.style), fits};
    case Form::kJson:
    case Form::kPerfetto:
    case Form::kJsonLines:
      break;
  }
  return json_answer(plans_json(*plans), fits);
}

}  // namespace peakmem
