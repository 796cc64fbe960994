// Memory over a step as JSON.
#pragma once

#include <string>

#include "estimate/timeline.h"
#include "request/request.h"

namespace peakmem {

/// {"schema", "model", "timeline": {"events", "peak", "phases", "points"}}; `points` holds the curve as two lists.
std::string timeline_json(const MemoryTimeline& timeline, const Request& request);

}  // namespace peakmem
