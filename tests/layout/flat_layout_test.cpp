#include "layout/flat_layout.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <random>

namespace peakmem {
namespace {

std::vector<FlatLayout> of_all_ranks(const std::vector<int64_t>& sizes, int64_t aligned, int64_t ranks) {
  std::vector<FlatLayout> layouts;
  for (int64_t rank = 0; rank < ranks; ++rank) layouts.push_back(lay_flat(sizes, aligned, ranks, rank));
  return layouts;
}

// _init_flat_param_and_metadata of parameters of 5, 8 and 3 elements, aligned to 8, over 4 ranks.
TEST(FlatLayout, PadsBetweenParametersAndToTheRanks) {
  const std::array<int64_t, 3> sizes = {5, 8, 3};
  const FlatLayout layout = lay_flat(sizes, 8, 4, 0);
  EXPECT_EQ(layout.elements, 20);
  EXPECT_EQ(layout.shard, 5);
  EXPECT_EQ(layout.paddings, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(layout.pieces, (std::vector<FlatPiece>{{0, 5}}));
  EXPECT_EQ(lay_flat(sizes, 8, 4, 1).pieces, (std::vector<FlatPiece>{{1, 2}}));
  EXPECT_EQ(lay_flat(sizes, 8, 4, 3).pieces, (std::vector<FlatPiece>{{1, 1}, {2, 3}}));
}

// A flat parameter that the optimizer sees whole has no padding but the last ranks'.
TEST(FlatLayout, LeavesTheLastRanksShortWhereNothingIsAligned) {
  const std::array<int64_t, 2> sizes = {5, 8};
  EXPECT_EQ(lay_flat(sizes, 0, 4, 0).elements, 13);
  EXPECT_EQ(lay_flat(sizes, 0, 4, 0).shard, 4);
  EXPECT_EQ(lay_flat(sizes, 0, 4, 3).own, 1);
  const std::array<int64_t, 1> few = {5};
  EXPECT_EQ(lay_flat(few, 0, 4, 3).own, 0);
}

TEST(FlatLayout, PiecesOfAllRanksSumToTheParameters) {
  std::mt19937 random(7);
  const auto draw = [&](int64_t last) { return std::uniform_int_distribution<int64_t>(1, last)(random); };
  for (int i = 0; i < 300; ++i) {
    std::vector<int64_t> sizes(static_cast<size_t>(draw(9)));
    for (int64_t& size : sizes) size = draw(60);
    const int64_t aligned = i % 3 == 0 ? 0 : 4 * (i % 3);
    const int64_t ranks = draw(9);
    std::vector<int64_t> sums(sizes.size());
    int64_t own = 0;
    for (const FlatLayout& layout : of_all_ranks(sizes, aligned, ranks)) {
      EXPECT_LE(layout.own, layout.shard);
      own += layout.own;
      for (const FlatPiece& piece : layout.pieces) sums[piece.parameter] += piece.elements;
    }
    EXPECT_EQ(sums, sizes);
    const FlatLayout first = lay_flat(sizes, aligned, ranks, 0);
    EXPECT_EQ(own, first.elements);
    const int64_t padded = std::accumulate(first.paddings.begin(), first.paddings.end(), int64_t{0});
    EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), padded), first.elements);
  }
}

}  // namespace
}  // namespace peakmem
