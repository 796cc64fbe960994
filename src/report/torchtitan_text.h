// The answer about a torchtitan run, as text and as JSON.
#pragma once

#include <string>

#include "estimate/torchtitan.h"
#include "io/torchtitan_options.h"
#include "report/page.h"

namespace peakmem {

std::string torchtitan_text(const RankReport& report, const TorchtitanInquiry& inquiry, const Style& style);
std::string torchtitan_json(const RankReport& report, const TorchtitanInquiry& inquiry);

}  // namespace peakmem
