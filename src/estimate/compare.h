// What differs between two reports.
#pragma once

#include <string>
#include <vector>

#include "estimate/report.h"

namespace peakmem {

/// What two ledgers hold under one category and name, in bytes; 0 where a ledger has no such row.
struct LedgerDifference {
  std::string category;
  std::string name;
  int64_t a = 0;
  int64_t b = 0;

  int64_t difference() const { return b - a; }
};

/// The rows of which two reports hold other amounts, the largest difference first: their differences sum to that of the
/// allocated bytes.
std::vector<LedgerDifference> compare(const Report& a, const Report& b);

}  // namespace peakmem
