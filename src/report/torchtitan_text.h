// The answer about a torchtitan run, as text and as JSON.
#pragma once

#include <string>

#include "estimate/torchtitan.h"
#include "report/page.h"
#include "request/torchtitan_options.h"

namespace peakmem {

std::string torchtitan_text(const RankReport& report, const TorchtitanRequest& request, const Style& style);
std::string torchtitan_json(const RankReport& report, const TorchtitanRequest& request);

}  // namespace peakmem
