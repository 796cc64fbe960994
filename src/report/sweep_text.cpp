#include "report/sweep_text.h"

#include <algorithm>

#include "report/ledger_text.h"
#include "report/text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kValue = 12;
constexpr size_t kBytes = 13;
constexpr size_t kPhase = 12;

void write_point(Page& page, const SweepPoint& point, int64_t most) {
  const std::string value = right(grouped(point.value), kValue);
  if (point.error) return page.paragraph(value + "  ", point.error->field + " " + point.error->problem);
  const Report& report = *point.report;
  const double share = static_cast<double>(report.allocated_bytes) / static_cast<double>(std::max<int64_t>(most, 1));
  const std::string verdict = report.fits ? report.fits->verdict : "";
  page.line(value + right(in_binary_units(report.tensor_bytes), kBytes) +
            right(in_binary_units(report.allocated_bytes), kBytes) +
            right(in_binary_units(report.device.likely), kBytes) + "  " + left(report.phase, kPhase) +
            page.bar_of(share, 12) + (verdict.empty() ? "" : "  " + verdict));
}

}  // namespace

std::string sweep_text(const Sweep& sweep, const Style& style) {
  Page page(style);
  page.line(page.strong(sweep.inquiry.name) + " · by " + sweep.over);
  page.paragraph("first of them: ", recipe_line(sweep.inquiry.job));
  if (sweep.inquiry.headroom_bytes > 0)
    page.line(std::string(sweep.inquiry.gpu->title) + ": " + headroom_text(sweep.inquiry));
  page.line();
  page.line(page.strong(right(sweep.over, kValue) + right("tensors", kBytes) + right("allocated", kBytes) +
                        right("device ~", kBytes) + "  the peak is in"));
  int64_t most = 0;
  for (const SweepPoint& point : sweep.points)
    if (point.report) most = std::max(most, point.report->allocated_bytes);
  for (const SweepPoint& point : sweep.points) write_point(page, point, most);
  return std::move(page).text();
}

}  // namespace peakmem
