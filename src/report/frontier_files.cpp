#include <cmath>

#include "report/cards_text.h"
#include "report/report_json.h"
#include "report/svg.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

using plot::kBottom, plot::kLeft, plot::kRight, plot::kTop;

/// Powers of two from the one below the least to the one above the most.
struct Axis {
  int low = 0;
  int high = 1;

  double place(int64_t value, int from, int to) const {
    const double share = (std::log2(static_cast<double>(value)) - low) / (high - low);
    return from + share * (to - from);
  }
};

Axis axis_of(const Frontier& frontier, int64_t FrontierPoint::* size) {
  Axis axis = {62, 1};
  for (const FrontierPoint& point : frontier.points) {
    const double power = std::log2(static_cast<double>(point.*size));
    axis.low = std::min(axis.low, static_cast<int>(std::floor(power)));
    axis.high = std::max(axis.high, static_cast<int>(std::ceil(power)));
  }
  if (axis.low >= axis.high) axis.low = axis.high - 1;
  return axis;
}

std::string grid_lines(const Axis& x, const Axis& y) {
  std::string svg;
  for (int power = x.low; power <= x.high; ++power) {
    const double at = x.place(int64_t{1} << power, kLeft, kRight);
    svg += svg_line(at, kTop, at, kBottom) + svg_text(at, kBottom + 18, "middle", grouped(int64_t{1} << power));
  }
  for (int power = y.low; power <= y.high; ++power) {
    const double at = y.place(int64_t{1} << power, kBottom, kTop);
    svg += svg_line(kLeft, at, kRight, at) + svg_text(kLeft - 8, at + 4, "end", grouped(int64_t{1} << power));
  }
  return svg;
}

}  // namespace

std::string frontier_csv(const Frontier& frontier) {
  std::string csv = frontier.names[0] + "," + frontier.names[1] + ",peak_bytes\n";
  for (const FrontierPoint& point : frontier.points)
    csv += std::to_string(point.first) + "," + std::to_string(point.second) + "," + std::to_string(point.peak_bytes) +
           "\n";
  return csv;
}

std::string frontier_svg(const Frontier& frontier) {
  std::string svg = begin_plot("What fits: " + frontier.names[1] + " by " + frontier.names[0]);
  svg += svg_text(kRight, kBottom + 40, "end", frontier.names[0]) +
         svg_text(kLeft - 8, kTop - 10, "end", frontier.names[1]);
  if (!frontier.points.empty()) {
    const Axis x = axis_of(frontier, &FrontierPoint::first);
    const Axis y = axis_of(frontier, &FrontierPoint::second);
    svg += grid_lines(x, y);
    std::string line;
    for (const FrontierPoint& point : frontier.points) {
      const std::string at_x = pixels(x.place(point.first, kLeft, kRight));
      const std::string at_y = pixels(y.place(point.second, kBottom, kTop));
      line += (line.empty() ? "" : " ") + at_x + "," + at_y;
      svg += "<circle cx=\"" + at_x + "\" cy=\"" + at_y + "\" r=\"3\" fill=\"#0072b2\"/>\n";
    }
    svg += "<polyline points=\"" + line + "\" fill=\"none\" stroke=\"#0072b2\" stroke-width=\"1.5\"/>\n";
  }
  return svg + "</svg>\n";
}

std::string frontier_json(const Frontier& frontier) {
  JsonWriter out;
  begin_answer(out, "frontier", frontier.request);
  out.key("for");
  out.begin_list();
  for (const std::string& name : frontier.names) out.value(name);
  out.end_list();
  out.member("gpu", frontier.request.gpu->name);
  out.member("capacity_bytes", frontier.capacity_bytes);
  out.key("points");
  out.begin_list();
  for (const FrontierPoint& point : frontier.points) {
    out.begin_object();
    out.member("first", point.first);
    out.member("second", point.second);
    out.member("peak_bytes", point.peak_bytes);
    out.end_object();
  }
  out.end_list();
  end_answer(out, frontier.request);
  return std::move(out).text();
}

}  // namespace peakmem
