#include "door/inquire.h"

#include "estimate/estimate.h"

namespace peakmem {

void add_launch_notes(const Subject& subject, Inquiry& inquiry) {
  if (subject.launch.files.empty()) return;
  inquiry.launch = subject.launch;
  inquiry.assumptions.insert(inquiry.assumptions.begin(), subject.assumptions.begin(), subject.assumptions.end());
  const std::vector<std::string>& doubts = subject.launch.not_understood;
  inquiry.warnings.insert(inquiry.warnings.begin(), doubts.begin(), doubts.end());
}

Result<Inquiry> inquire(const Subject& subject, Command command) {
  Result<Inquiry> inquiry = make_inquiry(subject.model ? &*subject.model : nullptr, subject.options, command);
  if (inquiry) add_launch_notes(subject, *inquiry);
  return inquiry;
}

Result<Report> report_of(const Inquiry& inquiry) {
  Result<Report> report = estimate(inquiry.job, inquiry.gpu, inquiry.allocator, inquiry.headroom_bytes);
  if (!report) return report;
  report->model = inquiry.name;
  report->launch = inquiry.launch;
  report->assumptions.insert(report->assumptions.begin(), inquiry.assumptions.begin(), inquiry.assumptions.end());
  report->warnings.insert(report->warnings.begin(), inquiry.warnings.begin(), inquiry.warnings.end());
  return report;
}

Answer json_answer(std::string text, bool fits) { return {std::move(text) + "\n", fits}; }

}  // namespace peakmem
