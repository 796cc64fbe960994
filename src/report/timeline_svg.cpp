#include <algorithm>
#include <array>
#include <string>

#include "format/json_writer.h"
#include "report/svg.h"
#include "report/text.h"
#include "report/timeline_text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

// The picture, in pixels: the curve's box within it.
constexpr int64_t kWidth = 960;
constexpr int64_t kHeight = 400;
constexpr int64_t kLeft = 90;
constexpr int64_t kTop = 60;
constexpr int64_t kRight = 940;
constexpr int64_t kBottom = 350;

/// `value` of `whole`, on the way from `from` to `to`, in whole tenths of a pixel.
std::string place(int64_t value, int64_t whole, int64_t from, int64_t to) {
  const double share = static_cast<double>(value) / static_cast<double>(std::max<int64_t>(1, whole));
  const auto tenths = static_cast<int64_t>((static_cast<double>(from) + share * static_cast<double>(to - from)) * 10);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

std::string text_at(const std::string& x, const std::string& y, std::string_view anchor, std::string_view text) {
  return "<text x=\"" + x + "\" y=\"" + y + "\" text-anchor=\"" + std::string(anchor) + "\">" + escaped(text) +
         "</text>\n";
}

/// Places of the curve's box.
class Box {
 public:
  explicit Box(const MemoryTimeline& timeline) : timeline_(timeline) {}
  std::string x(int64_t event) const { return place(event, timeline_.events, kLeft, kRight); }
  std::string y(int64_t bytes) const { return place(bytes, timeline_.peak.bytes, kBottom, kTop); }

 private:
  const MemoryTimeline& timeline_;
};

std::string scale(const MemoryTimeline& timeline, const Box& box) {
  std::string text;
  for (int64_t quarter = 0; quarter <= 4; ++quarter) {
    const int64_t bytes = timeline.peak.bytes / 4 * quarter;
    text += "<line x1=\"" + std::to_string(kLeft) + "\" x2=\"" + std::to_string(kRight) + "\" y1=\"" + box.y(bytes) +
            "\" y2=\"" + box.y(bytes) + "\" stroke=\"#ddd\"/>\n";
    text += text_at(std::to_string(kLeft - 6), box.y(bytes), "end", in_binary_units(bytes));
  }
  return text;
}

std::string phases(const MemoryTimeline& timeline, const Box& box) {
  std::string text;
  for (const TimelinePhase& phase : timeline.phases) {
    text += "<line x1=\"" + box.x(phase.first) + "\" x2=\"" + box.x(phase.first) + "\" y1=\"" + std::to_string(kTop) +
            "\" y2=\"" + std::to_string(kBottom) + "\" stroke=\"#999\" stroke-dasharray=\"3 3\"/>\n";
    const bool has_room = (phase.last - phase.first) * 12 > timeline.events;
    if (has_room)
      text += text_at(box.x(phase.first + (phase.last - phase.first) / 2), std::to_string(kBottom + 20), "middle",
                      phase.name);
  }
  return text;
}

std::string curve(const MemoryTimeline& timeline, const Box& box) {
  std::string points = box.x(0) + "," + std::to_string(kBottom);
  for (const TimelinePoint& point : timeline.points) points += " " + box.x(point.event) + "," + box.y(point.bytes);
  points += " " + box.x(timeline.events) + "," + std::to_string(kBottom);
  return "<polygon points=\"" + points + "\" fill=\"#4a90c2\" fill-opacity=\"0.6\" stroke=\"#2a6496\"/>\n";
}

std::string peak(const MemoryTimeline& timeline, const Box& box) {
  const std::string x = box.x(timeline.peak.event);
  const char* anchor = timeline.peak.event * 2 > timeline.events ? "end" : "start";
  return "<circle cx=\"" + x + "\" cy=\"" + box.y(timeline.peak.bytes) + "\" r=\"4\" fill=\"#c0392b\"/>\n" +
         text_at(x, std::to_string(kTop - 8), anchor,
                 "peak " + in_binary_units(timeline.peak.bytes) + ", " + timeline.peak_phase);
}

}  // namespace

std::string timeline_svg(const MemoryTimeline& timeline, const Request& request) {
  const Box box(timeline);
  const std::string size = "width=\"" + std::to_string(kWidth) + "\" height=\"" + std::to_string(kHeight) + "\"";
  std::string text = "<svg xmlns=\"http://www.w3.org/2000/svg\" " + size +
                     " font-family=\"sans-serif\" font-size=\"12\">\n<rect " + size + " fill=\"white\"/>\n";
  text += text_at(std::to_string(kLeft), "22", "start", request.name + " · " + recipe_line(request.job));
  return text + scale(timeline, box) + curve(timeline, box) + phases(timeline, box) + peak(timeline, box) + "</svg>\n";
}

std::string timeline_perfetto(const MemoryTimeline& timeline, const Request& request) {
  JsonWriter out(0);
  const auto begin_event = [&out](std::string_view name, const char* kind, int64_t time) {
    out.begin_object();
    out.member("name", name);
    out.member("ph", kind);
    out.member("pid", 1);
    out.member("tid", 1);
    out.member("ts", time);
  };
  out.begin_object();
  out.key("traceEvents");
  out.begin_list();
  begin_event("process_name", "M", 0);
  out.key("args");
  out.begin_object();
  out.member("name", request.name);
  out.end_object();
  out.end_object();
  for (const TimelinePhase& phase : timeline.phases) {
    begin_event(phase.name, "X", phase.first);
    out.member("dur", phase.last - phase.first);
    out.end_object();
  }
  for (const TimelinePoint& point : timeline.points) {
    begin_event("allocated", "C", point.event);
    out.key("args");
    out.begin_object();
    out.member("bytes", point.bytes);
    out.end_object();
    out.end_object();
  }
  out.end_list();
  out.end_object();
  return std::move(out).text();
}

}  // namespace peakmem
