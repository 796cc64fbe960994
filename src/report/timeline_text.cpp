#include "report/timeline_text.h"

#include <algorithm>
#include <array>

#include "report/text.h"
#include "size/bytes.h"
#include "size/order.h"

namespace peakmem {
namespace {

constexpr size_t kScale = 12;    // columns of the scale on the left
constexpr int64_t kHeight = 12;  // rows of the curve
constexpr size_t kLedgerRows = 8;

/// The highest level in every column; a column without points keeps the level before it.
std::vector<int64_t> column_levels(const MemoryTimeline& timeline, size_t width) {
  std::vector<int64_t> levels(width, -1);
  int64_t level = timeline.points.empty() ? 0 : timeline.points.front().bytes;
  auto point = timeline.points.begin();
  for (size_t column = 0; column < width; ++column) {
    const double end =
        static_cast<double>(timeline.events) * static_cast<double>(column + 1) / static_cast<double>(width);
    for (; point != timeline.points.end() && static_cast<double>(point->event) < end; ++point) {
      levels[column] = std::max(levels[column], point->bytes);
      level = point->bytes;
    }
    if (levels[column] < 0) levels[column] = level;
  }
  return levels;
}

size_t column_of(const MemoryTimeline& timeline, int64_t event, size_t width) {
  const double share = static_cast<double>(event) / static_cast<double>(std::max<int64_t>(1, timeline.events));
  return std::min(width - 1, static_cast<size_t>(share * static_cast<double>(width)));
}

/// What a column shows in the row `row` from below: part of a cell, in eighths.
const char* cell(int64_t level, int64_t highest, int64_t row) {
  static constexpr std::array<const char*, 9> kParts = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const double cells = static_cast<double>(level) / static_cast<double>(std::max<int64_t>(1, highest)) * kHeight;
  const double eighths = (cells - static_cast<double>(row)) * 8;
  return kParts[static_cast<size_t>(std::clamp(eighths + 0.5, 0.0, 8.0))];
}

void write_curve(Page& page, const MemoryTimeline& timeline, size_t width) {
  const std::vector<int64_t> levels = column_levels(timeline, width);
  const size_t peak = column_of(timeline, timeline.peak.event, width);
  const std::string mark = "peak " + in_binary_units(timeline.peak.bytes);
  const bool before = peak + 2 + columns(mark) > width;
  const std::string above = before ? right(mark + " ▼", peak + 1) : std::string(peak, ' ') + "▼ " + mark;
  page.line(std::string(kScale, ' ') + above);
  for (int64_t row = kHeight - 1; row >= 0; --row) {
    const bool labelled = (row + 1) % 4 == 0;
    const auto level =
        static_cast<int64_t>(static_cast<double>(timeline.peak.bytes) / kHeight * static_cast<double>(row + 1));
    std::string text = right(labelled ? in_binary_units(level) : "", kScale - 2) + (labelled ? " ┤" : " │");
    for (const int64_t each : levels) text += cell(each, timeline.peak.bytes, row);
    page.line(text);
  }
}

/// Under the curve: where each phase begins, with its name where it has the room.
void write_axis(Page& page, const MemoryTimeline& timeline, size_t width) {
  std::string line;
  std::string names;
  for (const TimelinePhase& phase : timeline.phases) {
    const size_t first = column_of(timeline, phase.first, width);
    const size_t last = phase.last >= timeline.events ? width : column_of(timeline, phase.last, width);
    if (last <= first) continue;
    line += "┴";
    for (size_t i = first + 1; i < last; ++i) line += "─";
    names += columns(phase.name) < last - first ? left(phase.name, last - first) : std::string(last - first, ' ');
  }
  page.line(std::string(kScale - 1, ' ') + "└" + line);
  page.line(std::string(kScale, ' ') + names);
}

void write_phases(Page& page, const MemoryTimeline& timeline) {
  page.heading("Phases, in allocations and releases (their order is known, not their time)");
  for (const TimelinePhase& phase : timeline.phases) {
    const bool highest = phase.first <= timeline.peak.event && timeline.peak.event < phase.last;
    page.line(left("  " + phase.name, 16) + right(grouped(phase.last - phase.first), 12) +
              right(in_binary_units(phase.peak_bytes), 14) + (highest ? "  ← the peak" : ""));
  }
}

void write_largest(Page& page, const Report& report) {
  std::vector<const LedgerRow*> rows;
  for (const LedgerRow& row : report.ledger) rows.push_back(&row);
  sort_by(rows, [](const LedgerRow* row) { return -row->bytes; });
  rows.resize(std::min(rows.size(), kLedgerRows));
  page.heading("The largest rows at the peak");
  for (const LedgerRow* row : rows)
    page.line("  " + left(row->category, 13) + left(page.fitted(row->name, 52), 53) +
              right(in_binary_units(row->bytes), 12));
}

std::string_view phase_at(const MemoryTimeline& timeline, int64_t event) {
  for (const TimelinePhase& phase : timeline.phases)
    if (event < phase.last) return phase.name;
  return {};
}

}  // namespace

std::string timeline_text(const MemoryTimeline& timeline, const Request& request, const Style& style) {
  Page page(style);
  const size_t width = page.width() - kScale;
  page.line(page.strong(request.name) + " · allocated bytes over the steady step");
  page.line(recipe_line(request.job));
  page.line();
  write_curve(page, timeline, width);
  write_axis(page, timeline, width);
  write_phases(page, timeline);
  write_largest(page, timeline.report);
  return std::move(page).text();
}

std::string timeline_csv(const MemoryTimeline& timeline) {
  std::string text = "event,phase,bytes\n";
  for (const TimelinePoint& point : timeline.points)
    text += std::to_string(point.event) + "," + std::string(phase_at(timeline, point.event)) + "," +
            std::to_string(point.bytes) + "\n";
  return text;
}

}  // namespace peakmem
