#include <algorithm>

#include "format/json.h"
#include "report/csv.h"
#include "report/plan_text.h"
#include "report/svg.h"
#include "report/time_text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

using plot::kBottom, plot::kLeft, plot::kRight, plot::kTop;

constexpr int kTicks = 4;
constexpr double kRoom = 1.1;  // above the slowest

/// How large the two axes are, and where a point of them lies.
struct Plot {
  double bytes = 1;
  double seconds = 1;

  explicit Plot(const Plans& plans) : bytes(static_cast<double>(plans.capacity_bytes)) {
    double slowest = 0;
    for (const PlanRow& row : plans.front) slowest = std::max(slowest, row.time.seconds.likely);
    seconds = slowest > 0 ? slowest * kRoom : 1;
  }
  double x(double value) const { return kLeft + value / bytes * (kRight - kLeft); }
  double y(double value) const { return kBottom - value / seconds * (kBottom - kTop); }
};

std::string ticks(const Plot& plot) {
  std::string svg;
  for (int i = 0; i <= kTicks; ++i) {
    const double share = static_cast<double>(i) / kTicks;
    const double x = plot.x(share * plot.bytes);
    const double y = plot.y(share * plot.seconds);
    svg += svg_line(x, kTop, x, kBottom) + svg_line(kLeft, y, kRight, y);
    svg += svg_text(x, kBottom + 18, "middle", in_binary_units(static_cast<int64_t>(share * plot.bytes)));
    svg += svg_text(kLeft - 8, y + 4, "end", in_seconds(share * plot.seconds));
  }
  return svg;
}

std::string number_text(double number) { return json_number(number); }

std::string csv_line(const char* list, const PlanRow& row) {
  return std::string(list) + "," + std::to_string(row.id) + "," + number_text(row.time.seconds.low) + "," +
         number_text(row.time.seconds.likely) + "," + number_text(row.time.seconds.high) + "," +
         number_text(row.time.tokens_per_second.likely) + "," + number_text(row.time.mfu.likely) + "," +
         std::to_string(row.allocated_bytes) + "," + std::to_string(row.device.likely) + "," + row.verdict.verdict +
         "," + csv_quoted(row.command) + "\n";
}

}  // namespace

std::string plans_csv(const Plans& plans) {
  std::string csv =
      "list,id,seconds_low,seconds,seconds_high,tokens_per_second,mfu,allocated_bytes,device_bytes,verdict,command\n";
  for (const PlanRow& row : plans.top) csv += csv_line("top", row);
  for (const PlanRow& row : plans.front) csv += csv_line("front", row);
  return csv;
}

std::string plans_svg(const Plans& plans) {
  std::string svg = begin_plot("Time of a step by memory of a card: plans that no other one beats in both");
  const Plot plot(plans);
  svg += ticks(plot) + svg_text(kRight, kBottom + 40, "end", "on the device of each card");
  for (const PlanRow& row : plans.front) {
    const double x = plot.x(static_cast<double>(row.device.likely));
    const double y = plot.y(row.time.seconds.likely);
    svg += "<circle cx=\"" + pixels(x) + "\" cy=\"" + pixels(y) + "\" r=\"4\" fill=\"#0072b2\"><title>" +
           escaped(row.command) + "</title></circle>\n" + svg_text(x + 6, y - 6, "start", std::to_string(row.id));
  }
  return svg + "</svg>\n";
}

}  // namespace peakmem
