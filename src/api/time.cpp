#include "api/request_of.h"
#include "estimate/step_time.h"
#include "report/time_text.h"

namespace peakmem {

Result<Answer> answer_time(const Question& question) {
  const Result<Request> request = request_of(question.subject, Command::kTime);
  if (!request) return request.error();
  if (request->gpu == nullptr) return Error{"--gpu", "is missing", "peakmem gpus lists those that are known"};
  const Result<StepTime> time = step_time(request->job, *request->gpu);
  if (!time) return time.error();
  if (wants_json(question)) return json_answer(time_json(*time, *request));
  return Answer{time_text(*time, *request, question.style)};
}

}  // namespace peakmem
