// Memory over a step, as a picture and as points for other programs.
#pragma once

#include <string>

#include "estimate/timeline.h"
#include "report/page.h"
#include "request/request.h"

namespace peakmem {

/// For a terminal: the curve, its phases and peak, and the largest rows of the ledger at the peak.
std::string timeline_text(const MemoryTimeline& timeline, const Request& request, const Style& style);
/// A picture of its own, without scripts or fonts to load.
std::string timeline_svg(const MemoryTimeline& timeline, const Request& request);
/// `event,phase,bytes`, a point a line.
std::string timeline_csv(const MemoryTimeline& timeline);
/// The JSON of Chrome's trace viewer and of ui.perfetto.dev: a counter, and a slice per phase; an event takes a
/// microsecond there.
std::string timeline_perfetto(const MemoryTimeline& timeline, const Request& request);

}  // namespace peakmem
