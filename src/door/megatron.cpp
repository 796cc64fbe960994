#include "door/megatron.h"

#include "door/inquire.h"
#include "io/bare_model.h"
#include "report/megatron_text.h"

namespace peakmem {
namespace {

Result<MegatronInquiry> inquire_of_run(const Subject& subject) {
  const Asked asked(subject.options);
  std::vector<std::string> assumptions;
  if (!subject.model && !has_bare_sizes(asked))
    return Error{"MODEL", "no model was named", "name one, or describe it: --layers, --heads and --hidden"};
  const Result<NamedConfig> model =
      subject.model ? resized_config(*subject.model, asked, assumptions) : bare_config(asked, assumptions);
  if (!model) return model.error();
  Result<MegatronInquiry> inquiry = read_megatron(*model, subject.options);
  if (!inquiry) return inquiry.error();
  inquiry->assumptions.insert(inquiry->assumptions.begin(), assumptions.begin(), assumptions.end());
  return inquiry;
}

Result<Answer> answer_run(const Question& question) {
  if (auto wrong = check_options(question.subject.options, Command::kEstimate)) return *wrong;
  const Result<MegatronInquiry> inquiry = inquire_of_run(question.subject);
  if (!inquiry) return inquiry.error();
  const Result<MegatronReport> report = megatron_report(inquiry->job, inquiry->rank);
  if (!report) return report.error();
  if (wants_json(question)) return json_answer(megatron_json(*report, *inquiry));
  return Answer{megatron_text(*report, *inquiry, question.style)};
}

}  // namespace

std::optional<Result<Answer>> answer_megatron(const Question& question) {
  const Asked asked(question.subject.options);
  const std::string* stack = asked.text("stack");
  const bool runs = stack != nullptr && *stack == "megatron";
  if (runs && kJsonAlone) return Error{"--stack", "megatron is not on the page yet", "ask the command line"};
  if (runs) return answer_run(question);
  const std::string_view option = megatron_option(asked);
  if (option.empty()) return std::nullopt;
  return Error{"--" + std::string(option), "is an option of Megatron-Core", "give --stack megatron, or drop it"};
}

}  // namespace peakmem
