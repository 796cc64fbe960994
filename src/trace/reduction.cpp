#include "trace/reduction.h"

namespace peakmem {
namespace {

constexpr int64_t kMaxThreads = 512;  // of a block, shared by the elements that a thread loads at once
constexpr int64_t kWarp = 32;
constexpr int64_t kMinValues = 16;   // of a thread, where blocks share rows
constexpr int64_t kMaxValues = 256;  // of a thread, from which on they do
constexpr int64_t kFloat = 4;        // bytes: sums are kept in fp32, whatever the input is

/// 1 where a >= b, else 0.
Expr at_least(Expr a, Expr b) { return least(1, floor_div(a, b)); }
/// 1 where `a` is a multiple of `step`, else 0.
Expr is_multiple(Expr a, Expr step) { return floor_div(a, step) - ceil_div(a, step) + 1; }
/// The largest power of two that is at most `a`.
Expr last_power_of_two(Expr a) { return power_of_two(ceil_div(a + 1, 2)); }

}  // namespace

ReductionWorkspace reduction_workspace(const Processor& processor, Expr rows, Expr columns) {
  const Expr vector = 1 + is_multiple(columns, 2) + 2 * is_multiple(columns, 4);  // columns that a thread loads at once
  const Expr width = least(kWarp, last_power_of_two(exact_div(columns, vector)));
  const Expr height = exact_div(kMaxThreads, vector * width);  // of the many rows that several blocks share
  const Expr grid = ceil_div(columns, vector * width);
  const Expr target = processor.multiprocessors * exact_div(processor.threads * vector, kMaxThreads);
  const Expr values = ceil_div(rows, height);
  const Expr blocks = most(least(ceil_div(target, grid), ceil_div(values, kMinValues)), ceil_div(values, kMaxValues));
  const Expr shares = at_least(values, kMaxValues) * at_least(target, grid) * at_least(blocks, 2);
  return {shares * kFloat * columns * blocks * width * vector, shares * kFloat * grid};
}

const ReductionWorkspace& ReductionWorkspaces::find(const Processor& processor, Expr rows, Expr columns) {
  for (const Known& known : known_)
    if (identical(known.rows, rows) && identical(known.columns, columns)) return known.workspace;
  return known_.emplace_back(Known{rows, columns, reduction_workspace(processor, rows, columns)}).workspace;
}

}  // namespace peakmem
