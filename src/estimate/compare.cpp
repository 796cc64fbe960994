#include "estimate/compare.h"

#include <algorithm>
#include <cstdlib>

#include "size/order.h"

namespace peakmem {
namespace {

LedgerDifference& row_for(std::vector<LedgerDifference>& rows, const LedgerRow& row) {
  const auto same = std::find_if(rows.begin(), rows.end(), [&](const LedgerDifference& other) {
    return other.category == row.category && other.name == row.name;
  });
  return same != rows.end() ? *same : rows.emplace_back(LedgerDifference{row.category, row.name});
}

}  // namespace

std::vector<LedgerDifference> compare(const Report& a, const Report& b) {
  std::vector<LedgerDifference> rows;
  for (const LedgerRow& row : a.ledger) row_for(rows, row).a += row.bytes;
  for (const LedgerRow& row : b.ledger) row_for(rows, row).b += row.bytes;
  std::erase_if(rows, [](const LedgerDifference& row) { return row.difference() == 0; });
  sort_by(rows, [](const LedgerDifference& row) { return -std::abs(row.difference()); });
  return rows;
}

}  // namespace peakmem
