#include "report/timeline_json.h"

#include "format/json_writer.h"
#include "report/report_json.h"

namespace peakmem {
namespace {

void write_peak(JsonWriter& out, const MemoryTimeline& timeline) {
  out.key("peak");
  out.begin_object();
  out.member("event", timeline.peak.event);
  out.member("bytes", timeline.peak.bytes);
  out.member("phase", timeline.peak_phase);
  out.end_object();
}

void write_phases(JsonWriter& out, const MemoryTimeline& timeline) {
  out.key("phases");
  out.begin_list();
  for (const TimelinePhase& phase : timeline.phases) {
    out.begin_object();
    out.member("name", phase.name);
    out.member("first", phase.first);
    out.member("last", phase.last);
    out.member("peak_bytes", phase.peak_bytes);
    out.end_object();
  }
  out.end_list();
}

void write_column(JsonWriter& out, const MemoryTimeline& timeline, const char* name, int64_t TimelinePoint::* column) {
  out.key(name);
  out.begin_list();
  for (const TimelinePoint& point : timeline.points) out.value(point.*column);
  out.end_list();
}

}  // namespace

std::string timeline_json(const MemoryTimeline& timeline, const Request& request) {
  JsonWriter out;
  begin_answer(out, "timeline", request);
  out.member("events", timeline.events);
  write_peak(out, timeline);
  write_phases(out, timeline);
  out.key("points");
  out.begin_object();
  write_column(out, timeline, "event", &TimelinePoint::event);
  write_column(out, timeline, "bytes", &TimelinePoint::bytes);
  out.end_object();
  end_answer(out, request);
  return std::move(out).text();
}

}  // namespace peakmem
