// How long a step takes, as text and as JSON.
#pragma once

#include <string>

#include "estimate/step_time.h"
#include "format/json_writer.h"
#include "report/page.h"
#include "request/request.h"

namespace peakmem {

/// Seconds for people: `1.23 s`, `45.6 ms`.
std::string in_seconds(double seconds);
/// `12.3 TFLOP`, with the largest of M, G, T, P, E that leaves at least 1.
std::string in_flops(double flops);

std::string time_text(const StepTime& time, const Request& request, const Style& style);
/// {"schema", "model", "time": {"flops", "seconds": {"low", "likely", "high"}, …, "modules": [{…}]}, …}
std::string time_json(const StepTime& time, const Request& request);

/// `name`: {"low", "likely", "high"}.
void write_about(JsonWriter& out, std::string_view name, const About& about);

}  // namespace peakmem
