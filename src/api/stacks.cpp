#include "api/stacks.h"

#include "api/request_of.h"
#include "report/megatron_text.h"
#include "report/torchtitan_text.h"
#include "request/bare_model.h"
#include "request/option_checks.h"
#include "request/stack_options.h"

namespace peakmem {
namespace {

/// The model that was named or described.
Result<NamedConfig> config_of(const Subject& subject, std::vector<std::string>& assumptions) {
  const Options asked(subject.options);
  if (!subject.model && !has_bare_sizes(asked))
    return Error{"MODEL", "no model was named", "name one, or describe it: --layers, --heads and --hidden"};
  if (subject.model && asked.has("family")) return Error{"--family", "is for a model without a config", "drop it"};
  return subject.model ? resized_config(*subject.model, asked, assumptions) : bare_config(asked, assumptions);
}

Result<Answer> answer_megatron(const Question& question, const MegatronRequest& request) {
  const Result<RankReport> report = megatron_report(request.job, request.rank, request.card.card);
  if (!report) return report.error();
  if (wants_json(question)) return json_answer(megatron_json(*report, request));
  return Answer{megatron_text(*report, request, question.style)};
}

Result<Answer> answer_torchtitan(const Question& question, const TorchtitanRequest& request) {
  const Result<RankReport> report = torchtitan_report(request.job, request.rank);
  if (!report) return report.error();
  if (wants_json(question)) return json_answer(torchtitan_json(*report, request));
  return Answer{torchtitan_text(*report, request, question.style)};
}

/// What `read` makes of the question, with what was assumed of the model before the rest, to `answer`.
template <class Read, class Give>
Result<Answer> answer_run(const Question& question, Read read, Give answer) {
  if (auto wrong = check_options(question.subject.options, Command::kEstimate)) return *wrong;
  std::vector<std::string> assumptions;
  const Result<NamedConfig> model = config_of(question.subject, assumptions);
  if (!model) return model.error();
  auto request = read(*model, question.subject.options);
  if (!request) return request.error();
  request->assumptions.insert(request->assumptions.begin(), assumptions.begin(), assumptions.end());
  return answer(question, *request);
}

}  // namespace

std::optional<Result<RankClass>> rank_of_stack(const Subject& subject) {
  const Options asked(subject.options);
  const std::string* stack = asked.text("stack");
  if (stack == nullptr || *stack != "megatron") return std::nullopt;
  std::vector<std::string> assumptions;
  const Result<NamedConfig> model = config_of(subject, assumptions);
  if (!model) return Result<RankClass>(model.error());
  Result<MegatronRequest> request = read_megatron(*model, subject.options);
  if (!request) return Result<RankClass>(request.error());
  request->job.rank = request->rank.value_or(0);
  return megatron_rank(request->job, request->card.card);
}

std::optional<Result<Answer>> answer_stack(const Question& question) {
  const Options asked(question.subject.options);
  const std::string* given = asked.text("stack");
  const std::string stack = given != nullptr ? *given : "transformers";
  const bool runs = stack == "megatron" || stack == "torchtitan";
  if (runs) {
    if (kJsonAlone) return Error{"--stack", stack + " is not on the page yet", "ask the command line"};
    if (stack == "megatron") return answer_run(question, read_megatron, answer_megatron);
    return answer_run(question, read_torchtitan, answer_torchtitan);
  }
  const std::string_view option = stack_option(asked);
  if (option.empty()) return std::nullopt;
  return Error{"--" + std::string(option), "is an option of Megatron-Core and torchtitan",
               "give --stack megatron, or --stack torchtitan, or drop it"};
}

}  // namespace peakmem
