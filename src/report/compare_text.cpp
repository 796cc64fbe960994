#include "report/compare_text.h"

#include <algorithm>

#include "report/report_json.h"
#include "report/text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kName = 46;
constexpr size_t kBytes = 14;
constexpr size_t kShown = 16;

std::string change_of(int64_t bytes) {
  return (bytes < 0 ? "-" : bytes > 0 ? "+" : "") + in_binary_units(bytes < 0 ? -bytes : bytes);
}

void write_line(Page& page, const std::string& name, int64_t a, int64_t b) {
  page.line("  " + left(page.fitted(name, kName - 2), kName - 2) + right(in_binary_units(a), kBytes) +
            right(in_binary_units(b), kBytes) + right(change_of(b - a), kBytes));
}

void write_set_up(Page& page, const char* letter, const Compared& each) {
  page.line(std::string(letter) + "  " + page.strong(each.report.model) + " · " + grouped(each.report.parameters) +
            " parameters");
  page.paragraph("   ", recipe_line(each.request.job));
  if (!each.report.fits) return;
  const std::string headroom = each.request.headroom_bytes > 0 ? "; " + headroom_text(each.request) : "";
  page.line("   " + each.report.fits->gpu + ": " + each.report.fits->verdict + headroom);
}

void write_rows(Page& page, const std::vector<LedgerDifference>& rows) {
  page.heading("What differs at the peak");
  int64_t rest = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i < kShown)
      write_line(page, rows[i].category + ": " + rows[i].name, rows[i].a, rows[i].b);
    else
      rest += rows[i].difference();
  }
  if (rows.size() > kShown)
    page.line(left("  and " + std::to_string(rows.size() - kShown) + " more", kName + 2 * kBytes) +
              right(change_of(rest), kBytes));
}

void write_short(JsonWriter& out, const char* letter, const Report& report) {
  out.key(letter);
  out.begin_object();
  out.member("model", report.model);
  write_sums(out, report);
  write_fits(out, report);
  write_lines(out, "assumptions", report.assumptions);
  write_lines(out, "warnings", report.warnings);
  out.end_object();
}

void write_difference(JsonWriter& out, const Report& a, const Report& b) {
  out.key("difference");
  out.begin_object();
  out.member("tensor_bytes", b.tensor_bytes - a.tensor_bytes);
  out.member("allocated_bytes", b.allocated_bytes - a.allocated_bytes);
  out.member("first_step_bytes", b.first_step_bytes - a.first_step_bytes);
  out.member("reserved_bytes", b.reserved.likely - a.reserved.likely);
  out.member("device_bytes", b.device.likely - a.device.likely);
  out.end_object();
}

void write_ledger(JsonWriter& out, const std::vector<LedgerDifference>& rows) {
  out.key("ledger");
  out.begin_list();
  for (const LedgerDifference& row : rows) {
    out.begin_object();
    out.member("category", row.category);
    out.member("name", row.name);
    out.member("a_bytes", row.a);
    out.member("b_bytes", row.b);
    out.member("difference_bytes", row.difference());
    out.end_object();
  }
  out.end_list();
}

}  // namespace

std::string compare_text(const Compared& a, const Compared& b, const Style& style) {
  Page page(style);
  write_set_up(page, "a", a);
  write_set_up(page, "b", b);
  page.line();
  page.line(page.strong(left("Peak", kName) + right("a", kBytes) + right("b", kBytes) + right("b - a", kBytes)));
  write_line(page, "tensors", a.report.tensor_bytes, b.report.tensor_bytes);
  write_line(page, "allocated", a.report.allocated_bytes, b.report.allocated_bytes);
  write_line(page, "first step, tensors", a.report.first_step_bytes, b.report.first_step_bytes);
  write_line(page, "device ~", a.report.device.likely, b.report.device.likely);
  page.line(left("  in", kName) + right(a.report.phase, kBytes) + right(b.report.phase, kBytes));
  write_rows(page, compare(a.report, b.report));
  return std::move(page).text();
}

std::string compare_json(const Compared& a, const Compared& b) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", kSchema);
  out.key("compare");
  out.begin_object();
  write_short(out, "a", a.report);
  write_short(out, "b", b.report);
  write_difference(out, a.report, b.report);
  write_ledger(out, compare(a.report, b.report));
  out.end_object();
  out.end_object();
  return std::move(out).text();
}

}  // namespace peakmem
