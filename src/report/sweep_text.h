// A sweep as a table and as data.
#pragma once

#include <string>

#include "plan/sweep.h"
#include "report/page.h"

namespace peakmem {

std::string sweep_text(const Sweep& sweep, const Style& style);
/// {"schema", "model", "sweep": {"over", "textbook": […], "points": [{"value", …}]}, …}; of several axes every point
/// has
/// {"values": {"batch": 1, "gpu": "t4"}}.
std::string sweep_json(const Sweep& sweep);
/// A line of names, and one for every point.
std::string sweep_csv(const Sweep& sweep);
/// A JSON object for every point, each on a line.
std::string sweep_json_lines(const Sweep& sweep);

}  // namespace peakmem
