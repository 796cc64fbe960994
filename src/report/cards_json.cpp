#include "report/cards_text.h"
#include "report/report_json.h"

namespace peakmem {
namespace {

void write_solution(JsonWriter& out, const Solution& solution) {
  out.member("value", solution.value);
  out.member("peak_bytes", solution.peak_bytes);
  out.member("next", solution.next);
  out.member("next_peak_bytes", solution.next_peak_bytes);
  out.member("limit", solution.limit);
}

void write_row(JsonWriter& out, const CardRow& row) {
  out.begin_object();
  out.member("gpu", row.gpu);
  out.member("title", row.title);
  if (row.error) write_error(out, *row.error);
  if (row.verdict) {
    out.member("verdict", row.verdict->verdict);
    out.member("capacity_bytes", row.verdict->capacity_bytes);
    out.member("device_bytes", row.device.likely);
    out.member("margin_bytes", row.verdict->capacity_bytes - row.device.likely);
  }
  if (row.solution) write_solution(out, *row.solution);
  out.end_object();
}

}  // namespace

std::string cards_json(const Cards& cards) {
  JsonWriter out;
  begin_answer(out, "cards", cards.request);
  out.member("for", cards.sought);
  out.key("rows");
  out.begin_list();
  for (const CardRow& row : cards.rows) write_row(out, row);
  out.end_list();
  end_answer(out, cards.request);
  return std::move(out).text();
}

}  // namespace peakmem
