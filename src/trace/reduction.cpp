#include "trace/reduction.h"

#include <algorithm>
#include <bit>

#include "size/terms.h"

namespace peakmem {
namespace {

constexpr int64_t kMaxThreads = 512;  // of a block, shared by the elements that a thread loads at once
constexpr int64_t kWarp = 32;
constexpr int64_t kMinValues = 16;   // of a thread, where blocks share rows
constexpr int64_t kMaxValues = 256;  // of a thread, from which on they do
constexpr int64_t kFloat = 4;        // bytes: sums are kept in fp32, whatever the input is

int64_t div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// A thread block: `width` threads side by side that load `vector` columns each, and `height` rows of them.
struct Block {
  int64_t vector;
  int64_t width;
  int64_t height() const { return kMaxThreads / vector / width; }  // where rows are as many as blocks share
};

Block block_for(int64_t columns) {
  const int64_t vector = columns % 4 == 0 ? 4 : columns % 2 == 0 ? 2 : 1;
  const auto power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(columns / vector)));
  return {vector, std::min(kWarp, power)};
}

}  // namespace

// What is a number is worked out as one, and what makes a formula is named, so that every compiler makes it in one
// order.
ReductionWorkspace reduction_workspace(const Processor& processor, Expr rows, Expr columns, int64_t number) {
  if (number < 1) return {0, 0};  // a size that passes 62 bits, which is an error elsewhere
  const Block block = block_for(number);
  const int64_t target = processor.multiprocessors * (processor.threads / (kMaxThreads / block.vector));
  const int64_t lines = div_up(number, block.vector * block.width);
  if (lines > target) return {0, 0};
  const Expr grid = ceil_div(columns, block.vector * block.width);
  const Expr values = ceil_div(rows, block.height());
  const Expr room = ceil_div(target, grid);
  const Expr most_useful = ceil_div(values, kMinValues);
  const Expr wanted = least(room, most_useful);
  const Expr needed = ceil_div(values, kMaxValues);
  const Expr blocks = most(wanted, needed);
  const Expr shares = least(1, floor_div(values, lines < target ? kMaxValues : kMaxValues + 1));
  const Expr buffer = shares * blocks * columns * (kFloat * block.width * block.vector);
  return {buffer, shares * grid * kFloat};
}

const ReductionWorkspace& ReductionWorkspaces::find(const Processor& processor, Expr rows, Expr columns,
                                                    const std::vector<int64_t>& symbol_values) {
  for (const Known& known : known_)
    if (identical(known.rows, rows) && identical(known.columns, columns)) return known.workspace;
  const int64_t number = evaluate(columns, symbol_values);
  return known_.emplace_back(Known{rows, columns, reduction_workspace(processor, rows, columns, number)}).workspace;
}

}  // namespace peakmem
