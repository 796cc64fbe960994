#include "door/inquire.h"
#include "io/trace_writer.h"

namespace peakmem {

Result<Answer> answer_trace(const Question& question) {
  const Result<Inquiry> inquiry = inquire(question.subject, Command::kTrace);
  if (!inquiry) return inquiry.error();
  Result<std::string> text = trace_text(*inquiry, question.subject.options);
  if (!text) return text.error();
  return json_answer(std::move(*text));
}

}  // namespace peakmem
