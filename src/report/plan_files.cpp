#include <algorithm>

#include "io/json.h"
#include "report/plan_text.h"
#include "report/time_text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

// The picture, in pixels: the box of the points within it. Both axes begin at 0.
constexpr int kWidth = 720;
constexpr int kHeight = 420;
constexpr int kLeft = 90;
constexpr int kTop = 50;
constexpr int kRight = 690;
constexpr int kBottom = 360;
constexpr int kTicks = 4;

std::string pixels(double place) {
  const auto tenths = static_cast<int64_t>(place * 10);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\" text-anchor=\"" + anchor + "\">" + text + "</text>\n";
}

std::string line_between(double x1, double y1, double x2, double y2, const char* stroke) {
  return "<line x1=\"" + pixels(x1) + "\" y1=\"" + pixels(y1) + "\" x2=\"" + pixels(x2) + "\" y2=\"" + pixels(y2) +
         "\" stroke=\"" + stroke + "\"/>\n";
}

/// How large the two axes are, and where a point of them lies.
struct Plot {
  double bytes = 1;
  double seconds = 1;

  explicit Plot(const Plans& plans) : bytes(static_cast<double>(plans.capacity_bytes)) {
    for (const PlanRow& row : plans.front) seconds = std::max(seconds, row.time.seconds.likely * 1.1);
    if (!plans.front.empty() && plans.front.back().time.seconds.likely * 1.1 < 1)
      seconds = plans.front.back().time.seconds.likely * 1.1;
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
    svg += line_between(x, kTop, x, kBottom, "#ddd") + line_between(kLeft, y, kRight, y, "#ddd");
    svg += text_at(x, kBottom + 18, "middle", in_binary_units(static_cast<int64_t>(share * plot.bytes)));
    svg += text_at(kLeft - 8, y + 4, "end", in_seconds(share * plot.seconds));
  }
  return svg;
}

std::string number_text(double number) { return json_number(number); }

std::string csv_line(const char* list, const PlanRow& row) {
  return std::string(list) + "," + std::to_string(row.id) + "," + number_text(row.time.seconds.low) + "," +
         number_text(row.time.seconds.likely) + "," + number_text(row.time.seconds.high) + "," +
         number_text(row.time.tokens_per_second.likely) + "," + number_text(row.time.mfu.likely) + "," +
         std::to_string(row.allocated_bytes) + "," + std::to_string(row.device.likely) + "," + row.verdict.verdict +
         ",\"" + row.command + "\"\n";
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
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(kWidth) + "\" height=\"" +
                    std::to_string(kHeight) + "\" font-family=\"sans-serif\" font-size=\"12\">\n";
  svg += "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  svg += text_at(kLeft, 24, "start", "Time of a step by memory of a card: plans that no other one beats in both");
  const Plot plot(plans);
  svg += ticks(plot) + text_at(kRight, kBottom + 40, "end", "on the device of each card");
  for (const PlanRow& row : plans.front) {
    const double x = plot.x(static_cast<double>(row.device.likely));
    const double y = plot.y(row.time.seconds.likely);
    svg += "<circle cx=\"" + pixels(x) + "\" cy=\"" + pixels(y) + "\" r=\"4\" fill=\"#0072b2\"><title>" + row.command +
           "</title></circle>\n" + text_at(x + 6, y - 6, "start", std::to_string(row.id));
  }
  return svg + "</svg>\n";
}

}  // namespace peakmem
