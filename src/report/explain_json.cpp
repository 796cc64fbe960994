#include "format/json_writer.h"
#include "report/explain_text.h"
#include "report/report_json.h"

namespace peakmem {
namespace {

void write_printed(JsonWriter& out, const char* name, const std::optional<PrintedBytes>& printed) {
  out.key(name);
  if (!printed) return out.null();
  out.value(printed->bytes);
}

void write_message(JsonWriter& out, const OutOfMemory& message) {
  out.key("message");
  out.begin_object();
  write_printed(out, "tried_bytes", message.tried);
  write_printed(out, "allocated_bytes", message.allocated);
  write_printed(out, "unallocated_bytes", message.unallocated);
  write_printed(out, "free_bytes", message.free);
  write_printed(out, "in_use_bytes", message.in_use);
  write_printed(out, "capacity_bytes", message.capacity);
  out.end_object();
}

void write_matches(JsonWriter& out, const char* name, const std::vector<Match>& matches) {
  out.key(name);
  out.begin_list();
  for (const Match& match : matches) {
    out.begin_object();
    write_allocation(out, match.allocation);
    out.member("count", match.count);
    out.key("difference_bytes");
    if (match.difference_bytes)
      out.value(*match.difference_bytes);
    else
      out.null();
    out.end_object();
  }
  out.end_list();
}

void write_remedies(JsonWriter& out, const Explanation& explanation) {
  out.key("remedies");
  out.begin_list();
  for (const Remedy& remedy : explanation.remedies) {
    out.begin_object();
    out.member("change", remedy.change);
    out.member("device_bytes", remedy.device_bytes);
    out.member("verdict", remedy.verdict);
    out.end_object();
  }
  out.end_list();
}

}  // namespace

std::string explain_json(const Explanation& explanation, const OutOfMemory& message, const Request& request) {
  JsonWriter out;
  begin_answer(out, "explain", request);
  write_message(out, message);
  write_matches(out, "matches", explanation.matches);
  write_matches(out, "nearest", explanation.nearest);
  Report report;
  report.fits = explanation.fits;
  write_fits(out, report);
  write_remedies(out, explanation);
  end_answer(out, request);
  return std::move(out).text();
}

}  // namespace peakmem
