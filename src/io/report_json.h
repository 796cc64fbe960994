// Answers as JSON, schema peakmem/1.
#pragma once

#include <span>
#include <string>

#include "estimate/report.h"
#include "io/inquiry.h"
#include "plan/solve.h"

namespace peakmem {

/// The name of the schema, and of what an answer of another shape would be called.
inline constexpr std::string_view kSchema = "peakmem/1";

/// The report of an estimate.
std::string report_json(const Report& report, std::span<const Knob> knobs);
/// The answer of a solve.
std::string solution_json(const Solution& solution, const Inquiry& inquiry);

}  // namespace peakmem
