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

/// What is allocated beside the trace's storages.
struct BesideStorages {
  int32_t cublas_handles = 2;
  int64_t cublas_bytes = 0;
  int64_t left_whole_bytes = 0;
};

/// The rows of everything live at `at`, by category and size, then those for the rounding to blocks of 512 and for what
/// is beside. `pool` is the program's, and gets the rows' formulas too.
std::vector<LedgerRow> ledger(const Job& job, const Program& program, const Moment& at, const Pool& pool,
                              const std::vector<int64_t>& symbol_values, const BesideStorages& beside);

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
