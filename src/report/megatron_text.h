// The answer about a Megatron-Core run, as text and as JSON.
#pragma once

#include <string>

#include "estimate/megatron.h"
#include "report/page.h"
#include "request/megatron_options.h"

namespace peakmem {

std::string megatron_text(const RankReport& report, const MegatronRequest& request, const Style& style);
std::string megatron_json(const RankReport& report, const MegatronRequest& request);

}  // namespace peakmem
