// Cards side by side, and two unknowns against each other.
#pragma once

#include <string>

#include "plan/cards.h"
#include "plan/frontier.h"
#include "report/page.h"

namespace peakmem {

std::string cards_text(const Cards& cards, const Style& style);
/// {"schema", "model", "cards": {"for", "rows": [{"gpu", …}]}, …}
std::string cards_json(const Cards& cards);

std::string frontier_text(const Frontier& frontier, const Style& style);
/// `batch,seq,peak_bytes` and a line for every point.
std::string frontier_csv(const Frontier& frontier);
/// The points as a picture, both axes in powers of two.
std::string frontier_svg(const Frontier& frontier);
/// {"schema", "model", "frontier": {"for": ["batch", "seq"], "gpu", "capacity_bytes", "points": [{…}]}, …}
std::string frontier_json(const Frontier& frontier);

}  // namespace peakmem
