#include "format/json_writer.h"
#include "report/diff_text.h"
#include "report/report_json.h"

namespace peakmem {
namespace {

void write_peak(JsonWriter& out, const char* side, const LiveSet& live) {
  out.key(side);
  out.begin_object();
  out.member("bytes", live.bytes);
  out.member("phase", live.phase);
  out.end_object();
}

void write_sum(JsonWriter& out, const DiffSum& sum) {
  out.begin_object();
  out.member("name", sum.name);
  out.member("measured", sum.theirs);
  out.member("ours", sum.ours);
  out.member("difference", sum.difference());
  out.end_object();
}

void write_sums(JsonWriter& out, const char* name, const std::vector<DiffSum>& sums) {
  out.key(name);
  out.begin_list();
  for (const DiffSum& sum : sums) write_sum(out, sum);
  out.end_list();
}

void write_groups(JsonWriter& out, const char* side, const std::vector<LiveGroup>& groups) {
  out.key(side);
  out.begin_list();
  for (const LiveGroup& group : groups) {
    out.begin_object();
    out.member("name", group.name);
    out.member("count", group.count);
    out.end_object();
  }
  out.end_list();
}

void write_rows(JsonWriter& out, const char* name, const std::vector<DiffRow>& rows) {
  out.key(name);
  out.begin_list();
  for (const DiffRow& row : rows) {
    out.begin_object();
    out.member("bytes_each", row.bytes);
    out.member("measured", row.theirs);
    out.member("ours", row.ours);
    out.member("difference_bytes", row.difference());
    write_groups(out, "measured_names", row.their_groups);
    write_groups(out, "our_names", row.our_groups);
    out.end_object();
  }
  out.end_list();
}

}  // namespace

std::string diff_json(const Diff& diff, const Measurement& measurement, const DiffQuestion& question) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", kSchema);
  out.member("model", question.model);
  out.key("diff");
  out.begin_object();
  out.member("file", question.name);
  out.member("format", measurement.format);
  out.member("step", diff.ours.live.step);
  write_peak(out, "measured", diff.theirs.live);
  write_peak(out, "ours", diff.ours.live);
  out.member("difference_bytes", diff.difference());
  write_rows(out, "rows", diff.rows);
  write_sums(out, "beside_rows", {diff.earlier, diff.unlisted});
  write_rows(out, "unlisted_rows", diff.unlisted_rows);
  write_sums(out, "categories", diff.categories);
  write_sums(out, "phases", diff.phases);
  out.key("notes");
  out.begin_list();
  for (const std::string& note : measurement.notes) out.value(note);
  out.end_list();
  out.end_object();
  out.end_object();
  return std::move(out).text();
}

}  // namespace peakmem
