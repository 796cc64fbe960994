#include "trace/mean.h"

#include <gtest/gtest.h>

#include "trace/traced.h"

namespace peakmem {
namespace {

TEST(MeanDim, DividesItsGradientAtFullSize) {
  const Program program = testing::traced([](Tape& tape) {
    Tensor mean = mean_dim(testing::leaf(tape, {2, 3, 4}), 1);
    EXPECT_EQ(mean.shape().rank, 2);
    return mean;
  });
  EXPECT_EQ(testing::made(program, "mean"), 1);
  EXPECT_EQ(testing::made(program, "div"), 1);
}

}  // namespace
}  // namespace peakmem
