#include "report/published.h"

#include <array>
#include <cmath>

#include "report/accuracy.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

/// A number that rows may publish, theirs and ours.
struct Measure {
  const char* name;
  int64_t PublishedRow::* theirs;
  int64_t HeldRow::* ours;
};
constexpr std::array<Measure, 3> kMeasures = {{{"allocated", &PublishedRow::allocated_bytes, &HeldRow::allocated_bytes},
                                               {"reserved", &PublishedRow::reserved_bytes, &HeldRow::reserved_bytes},
                                               {"nvidia-smi", &PublishedRow::device_bytes, &HeldRow::device_bytes}}};

Accuracy errors_of(const std::vector<HeldRow>& rows, const Measure& measure) {
  Accuracy group;
  for (const HeldRow& row : rows)
    if (row.row.*measure.theirs > 0) group.add({row.row.row, measure.name, row.*measure.ours, row.row.*measure.theirs});
  return group;
}

std::string signed_percent(double share) { return (share < 0 ? "-" : "+") + percent(share < 0 ? -share : share, 3); }

int64_t whole(double number) { return std::llround(number); }

std::string summary(const HeldSource& source) {
  std::string text;
  for (const Measure& measure : kMeasures) {
    const Accuracy group = errors_of(source.rows, measure);
    if (group.errors.empty()) continue;
    text += "| " + source.source.name + " | " + measure.name + " | " + std::to_string(group.errors.size()) + " | " +
            percent(group.median(), 3) + " | " + percent(group.p95(), 3) + " | " + percent(group.worst(), 3) + " | " +
            std::to_string(group.under_predicted()) + " |\n";
  }
  return text;
}

std::string lines_of(const HeldRow& row) {
  std::string text;
  for (const Measure& measure : kMeasures) {
    const int64_t theirs = row.row.*measure.theirs;
    if (theirs == 0) continue;
    const int64_t ours = row.*measure.ours;
    text += "| " + row.row.row + " | " + measure.name + " | " + grouped(theirs) + " | " + grouped(ours) + " | " +
            signed_percent(static_cast<double>(ours - theirs) / static_cast<double>(theirs)) + " |\n";
  }
  return text;
}

std::string not_covered(const HeldSource& source) {
  std::string text;
  for (const NotCovered& group : source.source.not_covered)
    text += "| " + source.source.name + " | " + std::to_string(group.rows) + " | " + group.why + " |\n";
  return text;
}

}  // namespace

HeldRow held_row(const PublishedRow& row, const Report& report) {
  return {row, report.allocated_bytes, report.reserved.likely, report.device.likely, {}};
}

std::string throughput_table(const std::vector<HeldSource>& sources) {
  std::string lines;
  Accuracy errors;
  size_t within = 0;
  for (const HeldSource& source : sources)
    for (const HeldRow& row : source.rows) {
      const double theirs = row.row.tokens_per_second;
      if (theirs <= 0 || row.tokens_per_second.likely <= 0) continue;
      const About& ours = row.tokens_per_second;
      errors.add({row.row.row, "throughput", whole(ours.likely), whole(theirs)});
      within += ours.low <= theirs && theirs <= ours.high ? 1 : 0;
      lines += "| " + row.row.row + " | " + grouped(whole(theirs)) + " | " + grouped(whole(ours.low)) + " | " +
               grouped(whole(ours.likely)) + " | " + grouped(whole(ours.high)) + " | " +
               signed_percent(ours.likely / theirs - 1) + " |\n";
    }
  if (lines.empty()) return {};
  return "Tokens a second, an estimate: " + std::to_string(within) + " of " + std::to_string(errors.errors.size()) +
         " lie within its range; of what is likely the median error is " + percent(errors.median(), 1) +
         ", the worst " + percent(errors.worst(), 1) +
         ".\n\n| row | published | low | likely | high | error of likely " + "|\n|---|--:|--:|--:|--:|--:|\n" + lines;
}

std::string published_table(const std::vector<HeldSource>& sources) {
  std::string text =
      "| source | measured | rows | median error | p95 | worst | under by > 2 % |\n|---|---|--:|--:|--:|--:|--:|\n";
  for (const HeldSource& source : sources) text += summary(source);
  text += "\n| row | measured | published | ours | error |\n|---|---|--:|--:|--:|\n";
  for (const HeldSource& source : sources)
    for (const HeldRow& row : source.rows) text += lines_of(row);
  text += "\n| source | rows not covered | why |\n|---|--:|---|\n";
  for (const HeldSource& source : sources) text += not_covered(source);
  return text;
}

void write_published(const std::vector<HeldSource>& sources, JsonWriter& out) {
  out.begin_list();
  for (const HeldSource& source : sources)
    for (const HeldRow& row : source.rows)
      for (const Measure& measure : kMeasures) {
        if (row.row.*measure.theirs == 0) continue;
        out.begin_object();
        out.member("source", source.source.name);
        out.member("row", row.row.row);
        out.member("what", measure.name);
        out.member("ours", row.*measure.ours);
        out.member("measured", row.row.*measure.theirs);
        out.end_object();
      }
  out.end_list();
}

}  // namespace peakmem
