#include "report/advice_text.h"
#include "report/report_json.h"

namespace peakmem {
namespace {

void write_suggestion(JsonWriter& out, const Suggestion& suggestion) {
  out.begin_object();
  out.member("cost", name_of(suggestion.cost));
  out.key("changes");
  out.begin_list();
  for (const Change& change : suggestion.changes) {
    out.begin_object();
    out.member("flags", change.flags);
    out.member("cost", name_of(change.cost));
    out.member("why", change.why);
    out.end_object();
  }
  out.end_list();
  out.member("gpu", suggestion.verdict.gpu);
  out.member("verdict", suggestion.verdict.verdict);
  out.member("capacity_bytes", suggestion.verdict.capacity_bytes);
  out.member("device_bytes", suggestion.device.likely);
  out.member("margin_bytes", suggestion.verdict.capacity_bytes - suggestion.device.likely);
  if (suggestion.slowdown) out.member("slowdown", *suggestion.slowdown);
  write_lines(out, "warnings", suggestion.warnings);
  out.member("command", suggestion.command);
  out.end_object();
}

}  // namespace

std::string advice_json(const Advice& advice) {
  JsonWriter out;
  begin_answer(out, "advice", advice.request);
  write_fits(out, advice.report);
  out.member("device_bytes", advice.report.device.likely);
  out.key("suggestions");
  out.begin_list();
  for (const Suggestion& suggestion : advice.suggestions) write_suggestion(out, suggestion);
  out.end_list();
  out.key("nearest");
  if (advice.nearest)
    write_suggestion(out, *advice.nearest);
  else
    out.null();
  out.member("tried", advice.tried);
  end_answer(out, advice.request);
  return std::move(out).text();
}

}  // namespace peakmem
