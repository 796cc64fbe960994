// What several commands do on the way to their answers.
#pragma once

#include "api/question.h"
#include "estimate/report.h"

namespace peakmem {

/// The request of a subject, asked with the options of `command`.
Result<Request> request_of(const Subject& subject, Command command);
/// Says in a request what became of the subject's launch files, where it has some.
void add_launch_notes(const Subject& subject, Request& request);
/// The report of a request, under its model's name, with what was taken for granted.
Result<Report> report_of(const Request& request);
/// In short what would make the job of those options fit, where it does not; nothing on the page, which has no text.
std::string advice_behind(const Question& question, const OptionValues& options, bool fits);
/// An answer that is the text of a page or a line of JSON, as it is printed.
Answer json_answer(std::string text, bool fits = true);

}  // namespace peakmem
