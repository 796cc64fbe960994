#include "api/request_of.h"
#include "request/trace_writer.h"

namespace peakmem {

Result<Answer> answer_trace(const Question& question) {
  const Result<Request> request = request_of(question.subject, Command::kTrace);
  if (!request) return request.error();
  Result<std::string> text = trace_text(*request, question.subject.options);
  if (!text) return text.error();
  return json_answer(std::move(*text));
}

}  // namespace peakmem
