#include "report/ledger_text.h"

#include <algorithm>

#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kBytes = 12;
constexpr size_t kShare = 9;
constexpr size_t kBar = 22;

double share_of(int64_t bytes, const Report& report) {
  return static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(report.allocated_bytes, 1));
}

std::string row_text(const Page& page, const std::string& name, int64_t bytes, const Report& report) {
  const double share = share_of(bytes, report);
  const size_t names = page.width() - kBytes - kShare - kBar - 2;
  return left(shortened(name, names), names) + right(in_binary_units(bytes), kBytes) + right(percent(share), kShare) +
         "  " + page.bar_of(share, kBar);
}

std::string counted(const LedgerSum& sum) {
  return "    " + sum.name + (sum.count > 1 ? " ×" + std::to_string(sum.count) : std::string());
}

void write_rest(Page& page, const std::vector<LedgerSum>& sums, size_t shown, const Report& report) {
  int64_t bytes = 0;
  for (size_t i = shown; i < sums.size(); ++i) bytes += sums[i].bytes;
  const size_t names = page.width() - kBytes - kShare - kBar - 2;
  page.line(page.faint(left("    and " + std::to_string(sums.size() - shown) + " more", names) +
                       right(in_binary_units(bytes), kBytes) + right(percent(share_of(bytes, report)), kShare)));
}

/// Modules worth a line: those of at least a hundredth of the peak, and of activations more than of the rest.
size_t worth_showing(const std::vector<LedgerSum>& sums, const LedgerSum& category, const Report& report) {
  const size_t most = category.name == "activations" ? 8 : 3;
  size_t shown = 0;
  while (shown < std::min(most, sums.size()) && share_of(sums[shown].bytes, report) >= 0.01) ++shown;
  return sums.size() == shown + 1 ? sums.size() : shown;
}

void write_category(Page& page, const LedgerSum& category, const Report& report) {
  page.line(row_text(page, "  " + category.name, category.bytes, report));
  if (share_of(category.bytes, report) < 0.01) return;
  const std::vector<LedgerSum> sums = sum_modules(report, category.name);
  const size_t shown = worth_showing(sums, category, report);
  for (size_t i = 0; i < shown; ++i) page.line(row_text(page, counted(sums[i]), sums[i].bytes, report));
  if (shown > 0 && shown < sums.size()) write_rest(page, sums, shown, report);
}

}  // namespace

void write_ledger(Page& page, const Report& report) {
  for (const LedgerSum& category : sum_categories(report)) write_category(page, category, report);
}

}  // namespace peakmem
