#include "api/request_of.h"

#include "estimate/estimate.h"
#include "report/advice_text.h"

namespace peakmem {

void add_launch_notes(const Subject& subject, Request& request) {
  if (subject.launch.files.empty()) return;
  request.launch = subject.launch;
  request.assumptions.insert(request.assumptions.begin(), subject.assumptions.begin(), subject.assumptions.end());
  const std::vector<std::string>& doubts = subject.launch.not_understood;
  request.warnings.insert(request.warnings.begin(), doubts.begin(), doubts.end());
}

Result<Request> request_of(const Subject& subject, Command command) {
  Result<Request> request = make_request(subject.model ? &*subject.model : nullptr, subject.options, command);
  if (request) add_launch_notes(subject, *request);
  return request;
}

Result<Report> report_of(const Request& request) {
  Result<Report> report = estimate(request.job, request.gpu, request.allocator, request.headroom_bytes);
  if (!report) return report;
  report->model = request.name;
  report->launch = request.launch;
  report->assumptions.insert(report->assumptions.begin(), request.assumptions.begin(), request.assumptions.end());
  report->warnings.insert(report->warnings.begin(), request.warnings.begin(), request.warnings.end());
  return report;
}

std::string advice_behind(const Question& question, const OptionValues& options, bool fits) {
  if (kJsonAlone || fits) return {};
  const Subject& subject = question.subject;
  const Result<Advice> advice = advise(subject.model ? &*subject.model : nullptr, options, kBriefly);
  if (!advice) return {};
  Page page(question.style);
  write_advice(page, *advice);
  return std::move(page).text();
}

Answer json_answer(std::string text, bool fits) { return {std::move(text) + "\n", fits}; }

}  // namespace peakmem
