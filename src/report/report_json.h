// Answers as JSON, schema peakmem/1.
#pragma once

#include <span>
#include <string>

#include "estimate/report.h"
#include "format/json_writer.h"
#include "plan/solve.h"
#include "request/request.h"
#include "size/terms.h"

namespace peakmem {

/// The name of the schema, and of what an answer of another shape would be called.
inline constexpr std::string_view kSchema = "peakmem/1";

// Members that several answers have; each belongs into an object that is open.
/// `parameters`, `peak` and `first_step`.
void write_sums(JsonWriter& out, const Report& report);
/// `fits`: the verdict, or null where no GPU was named.
/// {"step", "micro", "phase", "module", "op", "bytes", "tried_bytes", "allocated_bytes", "reserved_bytes"} into the
/// object that is open.
void write_allocation(JsonWriter& out, const Allocation& allocation);
void write_fits(JsonWriter& out, const Report& report);
/// `categories`: the bytes of the ledger's categories, largest first.
void write_categories(JsonWriter& out, const Report& report);
/// A term without its factor, "B·T·C": rows of the ledger and terms of the peak that have it in common belong together.
std::string monomial_text(const Term& term, Pool& pool);
/// `error`: its field, problem and hint.
void write_error(JsonWriter& out, const Error& error);
void write_lines(JsonWriter& out, const char* name, const std::vector<std::string>& lines);

/// An answer about a request: its schema and model, an object of that name for what is written next, and after it what
/// was taken for granted.
void begin_answer(JsonWriter& out, std::string_view name, const Request& request);
void end_answer(JsonWriter& out, const Request& request);

/// The report of an estimate of a job.
std::string report_json(const Report& report, std::span<const Knob> knobs, const Job& job = {});
/// The answer of a solve.
std::string solution_json(const Solution& solution, const Request& request);

}  // namespace peakmem
