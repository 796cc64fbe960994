#include <algorithm>

#include "report/report_json.h"
#include "report/sweep_text.h"

namespace peakmem {
namespace {

void write_report(JsonWriter& out, const Report& report) {
  out.member("tensor_bytes", report.tensor_bytes);
  out.member("allocated_bytes", report.allocated_bytes);
  out.member("first_step_bytes", report.first_step_bytes);
  out.member("device_bytes", report.device.likely);
  out.member("parameters", report.parameters);
  out.member("phase", report.phase);
  write_fits(out, report);
  write_categories(out, report);
}

/// A number where the axis has numbers.
void write_value(JsonWriter& out, const SweepAxis& axis, const std::string& text) {
  const Result<int64_t> number = axis.is_size ? parse_size(text, axis.over) : Error{};
  if (number)
    out.value(*number);
  else
    out.value(text);
}

void write_values(JsonWriter& out, const Sweep& sweep, const SweepPoint& point) {
  if (sweep.axes.size() == 1) {
    out.key("value");
    return write_value(out, sweep.axes[0], point.values[0]);
  }
  out.key("values");
  out.begin_object();
  for (size_t i = 0; i < sweep.axes.size(); ++i) {
    out.key(sweep.axes[i].over);
    write_value(out, sweep.axes[i], point.values[i]);
  }
  out.end_object();
}

void write_point(JsonWriter& out, const Sweep& sweep, const SweepPoint& point) {
  out.begin_object();
  write_values(out, sweep, point);
  if (point.error) {
    write_error(out, *point.error);
  } else {
    write_report(out, *point.report);
    out.key("textbook_bytes");
    out.begin_list();
    for (const Textbook& row : point.textbook) out.value(row.bytes);
    out.end_list();
  }
  out.end_object();
}

void write_textbook(JsonWriter& out, const Sweep& sweep) {
  out.key("textbook");
  out.begin_list();
  const auto first = std::find_if(sweep.points.begin(), sweep.points.end(),
                                  [](const SweepPoint& point) { return !point.textbook.empty(); });
  if (first != sweep.points.end())
    for (const Textbook& row : first->textbook) {
      out.begin_object();
      out.member("name", row.name);
      out.member("formula", row.formula);
      out.member("latex", row.latex);
      out.member("source", row.source);
      out.member("reference_of", row.reference_of);
      out.end_object();
    }
  out.end_list();
}

}  // namespace

std::string sweep_json(const Sweep& sweep) {
  JsonWriter out;
  begin_answer(out, "sweep", sweep.request);
  out.member("over", sweep.over);
  if (sweep.points.size() < sweep.grid) {
    out.member("first", static_cast<int64_t>(sweep.first));
    out.member("grid", static_cast<int64_t>(sweep.grid));
  }
  write_textbook(out, sweep);
  out.key("points");
  out.begin_list();
  for (const SweepPoint& point : sweep.points) write_point(out, sweep, point);
  out.end_list();
  end_answer(out, sweep.request);
  return std::move(out).text();
}

std::string sweep_json_lines(const Sweep& sweep) {
  std::string lines;
  for (const SweepPoint& point : sweep.points) {
    JsonWriter out(0);
    write_point(out, sweep, point);
    lines += std::move(out).text() + "\n";
  }
  return lines;
}

}  // namespace peakmem
