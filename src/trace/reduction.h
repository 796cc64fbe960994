// Sums over rows, such as the gradient of a bias: how the kernel shares them among thread blocks, and what it takes.
//
//     rows │ block │ block │ block      where columns are few and rows many, several blocks share the rows of some
//          │ block │ block │ block      columns, leave their partial sums in a buffer, and count down a semaphore
//          └─ columns ──────────────    each: the last to finish adds up
//
// Reduce.cuh of torch 2.13: setReduceConfig, global_memory_size, semaphore_size.
#pragma once

#include <vector>

#include "size/expr.h"
#include "trace/processor.h"

namespace peakmem {

/// What a sum allocates for itself, in bytes.
struct ReductionWorkspace {
  Expr buffer;
  Expr semaphores;
};

/// Of a sum over `rows` rows of `columns` columns that lie side by side, aligned as PyTorch allocates. `number` of
/// columns there are: it decides how a thread block is cut.
ReductionWorkspace reduction_workspace(const Processor& processor, Expr rows, Expr columns, int64_t number);

/// Those of one trace, each worked out once: a trace has hundreds of sums, of a few sizes.
class ReductionWorkspaces {
 public:
  const ReductionWorkspace& find(const Processor& processor, Expr rows, Expr columns,
                                 const std::vector<int64_t>& symbol_values);

 private:
  struct Known {
    Expr rows;
    Expr columns;
    ReductionWorkspace workspace;
  };
  std::vector<Known> known_;
};

}  // namespace peakmem
