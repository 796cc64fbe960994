#include "layout/shard_tables.h"

#include <algorithm>
#include <cmath>

#include "size/terms.h"

namespace peakmem {
namespace {

constexpr int64_t kNumber = 8;  // bytes of an entry
constexpr int64_t kThreads = 128;
constexpr int64_t kTile = kThreads * 16;  // bytes that a thread block copies at once

int64_t div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

Expr blocks_of(const std::vector<Expr>& shards, int64_t bytes_of_block) {
  Expr blocks = 0;
  for (const Expr& shard : shards) blocks += ceil_div(shard, bytes_of_block);
  return blocks;
}

/// How often a thread block goes on within one rank's part, so that no more blocks are started than the GPU runs twice.
int64_t turns_of_block(const Processor& processor, int64_t blocks, int64_t ranks) {
  const int64_t most = processor.multiprocessors * processor.threads / kThreads * 2;
  const int64_t turns = div_up(blocks * ranks, most);
  const auto over_ranks = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(turns))));
  return div_up(turns, std::min(over_ranks, ranks));
}

}  // namespace

Expr split_table_bytes(const Processor& processor, const std::vector<Expr>& shards, int64_t ranks,
                       const std::vector<int64_t>& symbol_values) {
  const int64_t blocks = evaluate(blocks_of(shards, kTile), symbol_values);
  if (blocks < 1) return 0;  // a size that passes 62 bits, which is an error elsewhere
  const auto count = static_cast<int64_t>(shards.size());
  const int64_t turns = turns_of_block(processor, blocks, ranks);
  return (blocks_of(shards, kTile * turns) + 4 * count + 1) * kNumber;
}

Expr chunk_cat_table_bytes(const std::vector<Expr>& shards) {
  const auto count = static_cast<int64_t>(shards.size());
  return (blocks_of(shards, kTile) + 6 * count + 2) * kNumber;
}

}  // namespace peakmem
