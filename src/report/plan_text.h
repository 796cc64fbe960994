// Plans as text, as JSON, as CSV and as a picture.
#pragma once

#include <string>

#include "plan/plan.h"
#include "report/page.h"

namespace peakmem {

std::string plans_text(const Plans& plans, const Style& style);
std::string reason_text(const PlanReason& reason, int64_t id, const std::string& model, const Style& style);

/// {"schema", "model", "plan": {"version", "gpu", "cards", "space", "plans": [{…}], "front": [{…}], …}}
std::string plans_json(const Plans& plans);
/// {"schema", "model", "why": {"id", "rule", "plan": {…}, "better": [{…}]}}
std::string reason_json(const PlanReason& reason, int64_t id, const std::string& model);

/// A line for every plan that is shown, and for those of the front.
std::string plans_csv(const Plans& plans);
/// The front of memory and time.
std::string plans_svg(const Plans& plans);

}  // namespace peakmem
