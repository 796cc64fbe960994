// What several commands do on the way to their answers.
#pragma once

#include "door/question.h"
#include "estimate/report.h"

namespace peakmem {

/// The inquiry of a subject, asked with the options of `command`.
Result<Inquiry> inquire(const Subject& subject, Command command);
/// Says in an inquiry what became of the subject's launch files, where it has some.
void add_launch_notes(const Subject& subject, Inquiry& inquiry);
/// The report of an inquiry, under its model's name, with what was taken for granted.
Result<Report> report_of(const Inquiry& inquiry);
/// An answer that is the text of a page or a line of JSON, as it is printed.
Answer json_answer(std::string text, bool fits = true);

}  // namespace peakmem
