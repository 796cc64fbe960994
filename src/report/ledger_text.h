// The ledger as bars.
#pragma once

#include "estimate/report.h"
#include "report/page.h"

namespace peakmem {

/// Rows of a category, or of a module in one, taken together.
struct LedgerSum {
  std::string name;
  int64_t count = 0;
  int64_t bytes = 0;
};

/// The categories, largest first.
std::vector<LedgerSum> sum_categories(const Report& report);
/// The modules of a category, largest first: `model.layers.*.mlp` for every row of that name whatever the op.
std::vector<LedgerSum> sum_modules(const Report& report, std::string_view category);

/// Every category with a bar, and its largest modules.
void write_ledger(Page& page, const Report& report);

}  // namespace peakmem
