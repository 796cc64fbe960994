// What is live at a moment, as rows that sum to it.
#pragma once

#include "estimate/report.h"
#include "trace/evaluate.h"
#include "train/step.h"

namespace peakmem {

/// The ledger's category of a storage: "weights", "activations", ...
const char* category_name(const Storage& storage);
/// What a storage is called in the ledger: its place in the model, and the op that made it unless the place says it.
std::string row_name(const Program& program, const Storage& storage);

/// The rows of everything live at `at`, by category and size, then one for the rounding to blocks of 512 and one for
/// cuBLAS's workspaces. `pool` is the program's, and gets the rows' formulas too.
std::vector<LedgerRow> ledger(const Job& job, const Program& program, const Moment& at, const Pool& pool,
                              const std::vector<int64_t>& symbol_values, int64_t workspace_bytes);

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

}  // namespace peakmem
