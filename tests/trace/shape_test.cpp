#include "trace/shape.h"

#include <gtest/gtest.h>

#include <vector>

namespace peakmem {
namespace {

std::vector<int64_t> sizes(const Shape& shape) {
  std::vector<int64_t> found;
  for (int i = 0; i < shape.rank; ++i) found.push_back(shape[i].number());
  return found;
}

std::vector<int64_t> strides(const Shape& shape) {
  std::vector<int64_t> found;
  for (int i = 0; i < shape.rank; ++i) found.push_back(shape.stride[static_cast<size_t>(i)].number());
  return found;
}

using Numbers = std::vector<int64_t>;

// What these say is what torch 2.13 says of torch.empty(2, 5, 12) and its views.
const Shape kTensor = {2, 5, 12};

TEST(Shape, IsRowMajorWhenMade) {
  EXPECT_EQ(strides(kTensor), (Numbers{60, 12, 1}));
  EXPECT_TRUE(is_contiguous(kTensor));
  EXPECT_EQ(kTensor.elements().number(), 120);
  EXPECT_EQ(kTensor.rows().number(), 10);
}

TEST(Shape, HeadsAreSplitAndTransposed) {  // x.view(2, 5, 3, 4).transpose(1, 2)
  const Shape heads = transposed(split(kTensor, 2, 3, 4), 1, 2);
  EXPECT_EQ(sizes(heads), (Numbers{2, 3, 5, 4}));
  EXPECT_EQ(strides(heads), (Numbers{60, 4, 12, 1}));
  EXPECT_FALSE(is_contiguous(heads));
  EXPECT_TRUE(is_dense(heads));
  EXPECT_FALSE(can_merge(heads, 1, 2));
  EXPECT_TRUE(can_merge(transposed(heads, 1, 2), 2, 2));
  EXPECT_EQ(strides(contiguous(heads)), (Numbers{60, 20, 4, 1}));
  EXPECT_EQ(strides(preserved(heads)), strides(heads));  // torch.empty_like
}

TEST(Shape, DimensionsOfOneAreLookedOver) {
  const Shape row = transposed(Shape{1, 7}, 0, 1);
  EXPECT_TRUE(is_contiguous(row));
  EXPECT_EQ(sizes(unsqueezed(kTensor, -1)), (Numbers{2, 5, 12, 1}));
  EXPECT_TRUE(can_merge(transposed(Shape{2, 1, 6}, 0, 1), 0, 2));
}

TEST(Shape, AnExpandedOneIsNotDense) {
  const Shape wide = expanded(Shape{2, 1, 12}, kTensor);
  EXPECT_EQ(strides(wide), (Numbers{12, 0, 1}));
  EXPECT_FALSE(is_dense(wide));
  EXPECT_EQ(strides(preserved(wide)), strides(kTensor));
}

TEST(Shape, ANarrowedOneHasGaps) {
  const Shape half = narrowed(kTensor, -1, 6);
  EXPECT_EQ(strides(half), (Numbers{60, 12, 1}));
  EXPECT_FALSE(is_dense(half));
  EXPECT_EQ(strides(preserved(half)), (Numbers{30, 6, 1}));
}

TEST(Shape, AProductHasTheRightOperandsLastSize) {
  EXPECT_EQ(sizes(product(kTensor, Shape{12, 7})), (Numbers{2, 5, 7}));
  EXPECT_EQ(strides(product(transposed(kTensor, 0, 1), Shape{2, 12, 7})), (Numbers{14, 7, 1}));
}

TEST(Shape, BroadcastKeepsTheOrderOfItsOperands) {
  const Shape heads = transposed(split(kTensor, 2, 3, 4), 1, 2);
  EXPECT_EQ(strides(broadcast(heads, Shape{5, 4})), strides(heads));
  EXPECT_EQ(sizes(broadcast(Shape{2, 1, 1}, Shape{5, 12})), (Numbers{2, 5, 12}));
}

}  // namespace
}  // namespace peakmem
