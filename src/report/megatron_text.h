// The answer about a Megatron-Core run, as text and as JSON.
#pragma once

#include <string>

#include "estimate/megatron.h"
#include "io/megatron_options.h"
#include "report/page.h"

namespace peakmem {

std::string megatron_text(const RankReport& report, const MegatronInquiry& inquiry, const Style& style);
std::string megatron_json(const RankReport& report, const MegatronInquiry& inquiry);

}  // namespace peakmem
