// What would make a job fit, for people and as JSON.
#pragma once

#include <string>

#include "plan/advise.h"
#include "report/page.h"

namespace peakmem {

/// The whole answer, with what each change costs and the command to copy.
std::string advice_text(const Advice& advice, const Style& style);
/// In short, behind a report that does not fit.
void write_advice(Page& page, const Advice& advice);

/// {"schema", "model", "advice": {"fits", "suggestions": [{…}], "nearest": {…}}, …}
std::string advice_json(const Advice& advice);

}  // namespace peakmem
