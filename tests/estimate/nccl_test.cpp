#include "estimate/nccl.h"

#include <gtest/gtest.h>

#include "estimate/device.h"

namespace peakmem {
namespace {

TEST(Nccl, OneRankHasNoCommunicator) {
  EXPECT_FALSE(nccl_buffers({}));
  EXPECT_EQ(nccl_bytes({}), 0);
}

TEST(Nccl, EachGroupOfRanksHasItsCommunicator) {
  Recipe recipe;
  recipe.ddp.ranks = 2;
  const int64_t of_two = nccl_bytes(recipe);
  recipe.ddp.ranks = 8;
  EXPECT_GT(nccl_bytes(recipe), of_two);
  EXPECT_EQ(nccl_buffers(recipe)->communicators, 1);
  recipe.ddp.ranks = 1;
  recipe.sharding.shards = 8;
  recipe.sharding.replicas = 2;
  EXPECT_EQ(nccl_buffers(recipe)->communicators, 2);
  EXPECT_EQ(nccl_buffers(recipe)->bytes.likely, nccl_bytes(recipe));
  recipe.sharding.shards = 1;
  EXPECT_EQ(nccl_bytes(recipe), of_two);
}

TEST(Nccl, CountsAtTheHighEndAlone) {
  const Range without = device_range(reserved_range(1 << 30), nullptr);
  const Range with = device_range(reserved_range(1 << 30), nullptr, 0, 1 << 29);
  EXPECT_EQ(with.low, without.low);
  EXPECT_EQ(with.likely, without.likely);
  EXPECT_EQ(with.high, without.high + (1 << 29));
  EXPECT_NE(with.why, without.why);
}

}  // namespace
}  // namespace peakmem
