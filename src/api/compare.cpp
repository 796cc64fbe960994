#include "api/request_of.h"
#include "report/compare_text.h"

namespace peakmem {

Result<Answer> answer_compare(const Question& question) {
  const Result<Request> a = request_of(question.subject, Command::kEstimate);
  if (!a) return a.error();
  const Result<Request> b = request_of(question.other, Command::kEstimate);
  if (!b) return b.error();
  const Result<Report> report_a = report_of(*a);
  if (!report_a) return report_a.error();
  const Result<Report> report_b = report_of(*b);
  if (!report_b) return report_b.error();
  const Compared first = {*a, *report_a};
  const Compared second = {*b, *report_b};
  const bool fits = !report_b->fits || report_b->fits->fits;
  if (wants_json(question)) return json_answer(compare_json(first, second), fits);
  return Answer{compare_text(first, second, question.style), fits};
}

}  // namespace peakmem
