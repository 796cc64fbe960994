#include "door/inquire.h"
#include "estimate/step_time.h"
#include "report/time_text.h"

namespace peakmem {

Result<Answer> answer_time(const Question& question) {
  const Result<Inquiry> inquiry = inquire(question.subject, Command::kTime);
  if (!inquiry) return inquiry.error();
  if (inquiry->gpu == nullptr) return Error{"--gpu", "is missing", "peakmem gpus lists those that are known"};
  const Result<StepTime> time = step_time(inquiry->job, *inquiry->gpu);
  if (!time) return time.error();
  if (wants_json(question)) return json_answer(time_json(*time, *inquiry));
  return Answer{time_text(*time, *inquiry, question.style)};
}

}  // namespace peakmem
