#include "plan/advise.h"

#include "api/request_of.h"
#include "report/advice_text.h"
#include "request/option_checks.h"

namespace peakmem {

Result<Answer> answer_advise(const Question& question) {
  const Subject& subject = question.subject;
  if (auto wrong = check_options(subject.options, Command::kAdvise)) return *wrong;
  Result<Advice> advice = advise(subject.model ? &*subject.model : nullptr, subject.options);
  if (!advice) return advice.error();
  add_launch_notes(subject, advice->request);
  const bool fits = advice->report.fits->fits || !advice->suggestions.empty();
  if (wants_json(question)) return json_answer(advice_json(*advice), fits);
  return Answer{advice_text(*advice, question.style), fits};
}

}  // namespace peakmem
