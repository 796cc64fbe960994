#include "plan/plan.h"

#include <algorithm>

#include "api/request_of.h"
#include "report/plan_text.h"
#include "size/bytes.h"
#include "size/order.h"
#include "size/wording.h"

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

/// A space in which nothing is a job: the rules that forbid most of it.
Error no_job(const Plans& plans) {
  std::vector<std::pair<std::string, int64_t>> rules(plans.counts.rules.begin(), plans.counts.rules.end());
  sort_by(rules, [](const auto& rule) { return -rule.second; });
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(3, rules.size()); ++i)
    text += (i == 0 ? "" : "; ") + grouped(rules[i].second) + " for " + rules[i].first;
  const std::string others = rules.size() > 3 ? "; other rules forbid the rest" : "";
  return {"plan", "none of " + grouped(plans.space.size()) + " is a job: " + text + others,
          "--why ID says what one of them breaks, from 0 on"};
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
  if (plans->bound.empty() && plans->counts.legal == 0) return no_job(*plans);
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
