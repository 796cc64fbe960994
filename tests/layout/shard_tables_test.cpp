#include "layout/shard_tables.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

// As PyTorch 2.13 asks its allocator for them, on an A100.
constexpr int64_t kEmbedding = 50002 * 64 * 2;  // of 100,003 x 64 over two ranks, in bf16

TEST(ShardTables, SplitHasAddressesSizesAndBlocks) {
  EXPECT_EQ(split_table_bytes({}, {kEmbedding, 64, kEmbedding}, 2, {}).number(), 25120);
  EXPECT_EQ(split_table_bytes({}, std::vector<Expr>(13, 64), 4, {}).number(), 528);
}

TEST(ShardTables, AGpuWithMoreRoomTakesMoreBlocks) {
  Processor wide;
  wide.multiprocessors *= 8;
  EXPECT_EQ(split_table_bytes(wide, {kEmbedding, 64, kEmbedding}, 2, {}).number(), 50128);
}

TEST(ShardTables, ChunkCatHasABlockForEveryTwoKibibytes) {
  EXPECT_EQ(chunk_cat_table_bytes({kEmbedding, 64, kEmbedding}).number(), 50184);
  EXPECT_EQ(chunk_cat_table_bytes(std::vector<Expr>(4, 64)).number(), 240);
}

}  // namespace
}  // namespace peakmem
