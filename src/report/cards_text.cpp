#include "report/cards_text.h"

#include <algorithm>
#include <array>

#include "report/text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kGpu = 18;
constexpr size_t kBytes = 12;
constexpr size_t kValue = 14;

std::string margin_text(int64_t margin) {
  return (margin < 0 ? "-" : "+") + in_binary_units(margin < 0 ? -margin : margin);
}

std::string verdict_cells(const Page& page, const CardRow& row) {
  const std::string text = left(row.verdict->verdict, 14);
  const int64_t capacity = row.verdict->capacity_bytes;
  return right(in_binary_units(capacity), kBytes) + right(in_binary_units(row.device.likely), kBytes) +
         right(margin_text(capacity - row.device.likely), kBytes + 1) + "  " +
         (row.verdict->fits ? page.good(text) : page.bad(text));
}

std::string solution_cells(const Solution& solution, bool alone) {
  std::string text = right(solution.value > 0 ? grouped(solution.value) : "none", kValue);
  if (!alone) return text;
  text = right(in_binary_units(solution.capacity_bytes), kBytes) + text;
  if (solution.value > 0) text += right(in_binary_units(solution.peak_bytes), kBytes + 2);
  if (!solution.limit.empty()) text += "  limited by " + solution.limit;
  return text;
}

std::string heading_of(const Page& page, const Cards& cards) {
  const bool verdicts = cards.rows.empty() || cards.sought.empty() || cards.rows[0].verdict;
  std::string text = left("card", kGpu) + right("memory", kBytes);
  if (verdicts) text += right("device ~", kBytes) + right("margin", kBytes + 1) + "  " + left("verdict", 14);
  constexpr std::array<std::string_view, 5> kSmallest = {"fsdp", "gpus", "accumulate", "ranks", "zero"};
  const bool smallest = std::find(kSmallest.begin(), kSmallest.end(), cards.sought) != kSmallest.end();
  if (!cards.sought.empty()) text += right((smallest ? "smallest " : "largest ") + cards.sought, kValue);
  if (!verdicts) text += right("device ~", kBytes + 2);
  return page.strong(text);
}

void write_row(Page& page, const CardRow& row) {
  const std::string name = left(page.fitted(row.gpu, kGpu - 1), kGpu);
  if (row.error) return page.paragraph(name + "  ", row.error->field + " " + row.error->problem);
  page.line(name + (row.verdict ? verdict_cells(page, row) : "") +
            (row.solution ? solution_cells(*row.solution, !row.verdict) : ""));
}

void write_notes(Page& page, const Request& request) {
  std::string text;
  for (const std::string& line : request.assumptions) text += (text.empty() ? "" : " · ") + line;
  if (!text.empty()) {
    page.heading("Taken for granted");
    page.paragraph("  ", text);
  }
  if (request.warnings.empty()) return;
  page.heading("Warnings");
  for (const std::string& line : request.warnings) page.paragraph("  ", line);
}

}  // namespace

std::string cards_text(const Cards& cards, const Style& style) {
  Page page(style);
  page.line(page.strong(cards.request.name) + " on " + std::to_string(cards.rows.size()) + " cards");
  page.line(recipe_line(cards.request.job));
  if (cards.request.headroom_bytes > 0) page.line("headroom is kept of every card");
  page.line();
  page.line(heading_of(page, cards));
  for (const CardRow& row : cards.rows) write_row(page, row);
  write_notes(page, cards.request);
  return std::move(page).text();
}

std::string frontier_text(const Frontier& frontier, const Style& style) {
  Page page(style);
  const std::string gpu(frontier.request.gpu->title);
  page.line(page.strong("The largest " + frontier.names[1] + " for every " + frontier.names[0] + " on " + gpu));
  page.line(frontier.request.name + " · " + recipe_line(frontier.request.job));
  page.line();
  page.line(
      page.strong(right(frontier.names[0], kValue) + right(frontier.names[1], kValue) + right("device ~", kValue)));
  int64_t most = 1;
  for (const FrontierPoint& point : frontier.points) most = std::max(most, point.second);
  for (const FrontierPoint& point : frontier.points)
    page.line(right(grouped(point.first), kValue) + right(grouped(point.second), kValue) +
              right(in_binary_units(point.peak_bytes), kValue) + "  " +
              page.bar_of(static_cast<double>(point.second) / static_cast<double>(most), 20));
  if (frontier.points.empty()) page.line("  nothing fits");
  page.line();
  page.line("  each fits by the estimate, and the next " + frontier.names[1] + " does not");
  write_notes(page, frontier.request);
  return std::move(page).text();
}

}  // namespace peakmem
