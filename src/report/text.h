// Answers for people: what they need first, then why.
#pragma once

#include <span>
#include <string>

#include "estimate/estimate.h"
#include "plan/solve.h"
#include "report/page.h"
#include "report/recipe_line.h"
#include "request/request.h"

namespace peakmem {

/// The report of an estimate.
std::string report_text(const Report& report, std::span<const Knob> knobs, const Request& request, const Style& style);

/// A solution with the reports of the run that fits (null if none does) and of the next one (null if it has none).
std::string solution_text(const Solution& solution, const Request& request, const Report* fits, const Report* next,
                          const Style& style);

/// What is to stay free of the GPU: `2.00 GiB of its 23.52 GiB are to stay free`.
std::string headroom_text(const Request& request);
/// "the backward of step 2".
std::string where(const std::string& phase, int32_t step);
/// "the forward of step 1: model.layers.3.mlp, mul asks for 448.00 MiB".
std::string moment_text(const Allocation& at);

}  // namespace peakmem
