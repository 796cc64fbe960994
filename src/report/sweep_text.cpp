#include "report/sweep_text.h"

#include <algorithm>

#include "report/csv.h"
#include "report/ledger_text.h"
#include "report/text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kValue = 12;
constexpr size_t kBytes = 13;
constexpr size_t kPhase = 12;

size_t width_of(const SweepAxis& axis) {
  size_t width = std::max(axis.over.size() + 2, kValue);
  for (const std::string& value : axis.values) width = std::max(width, value.size() + 2);
  return width;
}

/// The values of a point in columns: numbers with their thousands apart.
std::string values_text(const Sweep& sweep, const SweepPoint& point) {
  std::string text;
  for (size_t i = 0; i < sweep.axes.size(); ++i) {
    const Result<int64_t> number = sweep.axes[i].is_size ? parse_size(point.values[i], sweep.axes[i].over) : Error{};
    text += right(number ? grouped(*number) : point.values[i], width_of(sweep.axes[i]));
  }
  return text;
}

void write_point(Page& page, const Sweep& sweep, const SweepPoint& point, int64_t most) {
  const std::string value = values_text(sweep, point);
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
  page.line(page.strong(sweep.request.name) + " · by " + sweep.over);
  if (sweep.points.size() < sweep.grid)
    page.line(grouped(static_cast<int64_t>(sweep.points.size())) + " of " + grouped(static_cast<int64_t>(sweep.grid)) +
              " points, from number " + grouped(static_cast<int64_t>(sweep.first)));
  if (sweep.request.job.recipe.optimizer != nullptr)  // of a shard none of whose points is a job
    page.paragraph("first of them: ", recipe_line(sweep.request.job));
  if (sweep.request.headroom_bytes > 0)
    page.line(std::string(sweep.request.gpu->title) + ": " + headroom_text(sweep.request));
  page.line();
  std::string names;
  for (const SweepAxis& axis : sweep.axes) names += right(axis.over, width_of(axis));
  page.line(page.strong(names + right("tensors", kBytes) + right("allocated", kBytes) + right("device ~", kBytes) +
                        "  the peak is in"));
  int64_t most = 0;
  for (const SweepPoint& point : sweep.points)
    if (point.report) most = std::max(most, point.report->allocated_bytes);
  for (const SweepPoint& point : sweep.points) write_point(page, sweep, point, most);
  return std::move(page).text();
}

namespace {

std::string csv_line(const SweepPoint& point) {
  std::string line;
  for (const std::string& value : point.values) line += csv_field(value) + ",";
  if (!point.report) return line + ",,,,,,,,," + csv_field(point.error->field + " " + point.error->problem);
  const Report& report = *point.report;
  for (const int64_t bytes : {report.parameters, report.tensor_bytes, report.allocated_bytes, report.reserved.likely,
                              report.device.likely, report.first_step_bytes})
    line += std::to_string(bytes) + ",";
  line += report.phase + ",";
  if (!report.fits) return line + ",,";
  return line + std::to_string(report.fits->capacity_bytes) + "," + report.fits->verdict + ",";
}

}  // namespace

std::string sweep_csv(const Sweep& sweep) {
  std::string text;
  for (const SweepAxis& axis : sweep.axes) text += axis.over + ",";
  text +=
      "parameters,tensor_bytes,allocated_bytes,reserved_bytes,device_bytes,first_step_bytes,phase,capacity_bytes,"
      "verdict,error\n";
  for (const SweepPoint& point : sweep.points) text += csv_line(point) + "\n";
  return text;
}

}  // namespace peakmem
