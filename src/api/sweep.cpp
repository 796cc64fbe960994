#include "plan/sweep.h"

#include "api/request_of.h"
#include "report/sweep_text.h"

namespace peakmem {

Result<Answer> answer_sweep(const Question& question) {
  const Subject& subject = question.subject;
  const Result<Sweep> swept = sweep(subject.model ? &*subject.model : nullptr, subject.options);
  if (!swept) return swept.error();
  if (wants_json(question)) return json_answer(sweep_json(*swept));
  if (question.form == Form::kCsv) return Answer{sweep_csv(*swept)};
  if (question.form == Form::kJsonLines) return Answer{sweep_json_lines(*swept)};
  return Answer{sweep_text(*swept, question.style)};
}

}  // namespace peakmem
