// What answers about runs over many ranks have in common, as text and as JSON.
#pragma once

#include <string>
#include <vector>

#include "estimate/rank_report.h"
#include "format/json_writer.h"
#include "report/page.h"

namespace peakmem {

/// The fullest rank, why it is, and the rank that was asked for.
void write_peak(Page& page, const RankReport& report, const std::string& reason);
/// All classes of ranks, what lives on the one that is shown, its phases, and what was assumed.
void write_ranks(Page& page, const RankReport& report, const std::vector<std::string>& assumptions);
/// The same as members of an object.
void write_ranks(JsonWriter& out, const RankReport& report, const std::vector<std::string>& assumptions);

}  // namespace peakmem
