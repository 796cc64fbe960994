#include <cmath>

#include "io/report_json.h"
#include "report/cards_text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

// The picture, in pixels: the box of the points within it.
constexpr int kWidth = 720;
constexpr int kHeight = 420;
constexpr int kLeft = 90;
constexpr int kTop = 50;
constexpr int kRight = 690;
constexpr int kBottom = 360;

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

std::string pixels(double place) {
  const auto tenths = static_cast<int64_t>(place * 10);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\" text-anchor=\"" + anchor + "\">" + text + "</text>\n";
}

std::string line_between(double x1, double y1, double x2, double y2) {
  return "<line x1=\"" + pixels(x1) + "\" y1=\"" + pixels(y1) + "\" x2=\"" + pixels(x2) + "\" y2=\"" + pixels(y2) +
         "\" stroke=\"#ddd\"/>\n";
}

std::string grid_lines(const Axis& x, const Axis& y) {
  std::string svg;
  for (int power = x.low; power <= x.high; ++power) {
    const double at = x.place(int64_t{1} << power, kLeft, kRight);
    svg += line_between(at, kTop, at, kBottom) + text_at(at, kBottom + 18, "middle", grouped(int64_t{1} << power));
  }
  for (int power = y.low; power <= y.high; ++power) {
    const double at = y.place(int64_t{1} << power, kBottom, kTop);
    svg += line_between(kLeft, at, kRight, at) + text_at(kLeft - 8, at + 4, "end", grouped(int64_t{1} << power));
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
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(kWidth) + "\" height=\"" +
                    std::to_string(kHeight) + "\" font-family=\"sans-serif\" font-size=\"12\">\n";
  svg += "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  svg += text_at(kLeft, 24, "start", "What fits: " + frontier.names[1] + " by " + frontier.names[0]);
  svg +=
      text_at(kRight, kBottom + 40, "end", frontier.names[0]) + text_at(kLeft - 8, kTop - 10, "end", frontier.names[1]);
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
  begin_answer(out, "frontier", frontier.inquiry);
  out.key("for");
  out.begin_list();
  for (const std::string& name : frontier.names) out.value(name);
  out.end_list();
  out.member("gpu", frontier.inquiry.gpu->name);
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
  end_answer(out, frontier.inquiry);
  return std::move(out).text();
}

}  // namespace peakmem
