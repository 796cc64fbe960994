#include "report/ledger_text.h"

#include <algorithm>
#include <string>
#include <vector>

#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kBytes = 12;
constexpr size_t kShare = 9;
constexpr size_t kBar = 22;

double share_of(int64_t bytes, const Report& report) {
  return static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(report.allocated_bytes, 1));
}

/// A line of the ledger; the sum of what is not shown is faint and has no bar.
struct Line {
  std::string name;
  int64_t bytes = 0;
  bool rest = false;
};

std::string counted(const LedgerSum& sum) {
  return "    " + sum.name + (sum.count > 1 ? " ×" + std::to_string(sum.count) : std::string());
}

/// Modules worth a line: those of at least a hundredth of the peak, and of activations more than of the rest.
size_t worth_showing(const std::vector<LedgerSum>& sums, const LedgerSum& category, const Report& report) {
  const size_t most = category.name == "activations" ? 8 : 3;
  size_t shown = 0;
  while (shown < std::min(most, sums.size()) && share_of(sums[shown].bytes, report) >= 0.01) ++shown;
  return sums.size() == shown + 1 ? sums.size() : shown;
}

void add_category(std::vector<Line>& lines, const LedgerSum& category, const Report& report) {
  lines.push_back({"  " + category.name, category.bytes});
  if (share_of(category.bytes, report) < 0.01) return;
  const std::vector<LedgerSum> sums = sum_modules(report, category.name);
  const size_t shown = worth_showing(sums, category, report);
  for (size_t i = 0; i < shown; ++i) lines.push_back({counted(sums[i]), sums[i].bytes});
  if (shown == 0 || shown == sums.size()) return;
  int64_t bytes = 0;
  for (size_t i = shown; i < sums.size(); ++i) bytes += sums[i].bytes;
  lines.push_back({"    and " + std::to_string(sums.size() - shown) + " more", bytes, true});
}

size_t names_width(const Page& page, const std::vector<Line>& lines) {
  size_t width = page.width() - kBytes - kShare - kBar - 2;
  if (!page.whole_names()) return width;
  for (const Line& line : lines) width = std::max(width, columns(line.name));
  return width;
}

void write_line(Page& page, const Line& line, size_t names, const Report& report) {
  const double share = share_of(line.bytes, report);
  const std::string text = left(shortened(line.name, names), names) + right(in_binary_units(line.bytes), kBytes) +
                           right(percent(share), kShare);
  page.line(line.rest ? page.faint(text) : text + "  " + page.bar_of(share, kBar));
}

}  // namespace

void write_ledger(Page& page, const Report& report) {
  std::vector<Line> lines;
  for (const LedgerSum& category : sum_categories(report)) add_category(lines, category, report);
  const size_t names = names_width(page, lines);
  for (const Line& line : lines) write_line(page, line, names, report);
}

}  // namespace peakmem
