#include "trace/ops.h"

#include <gtest/gtest.h>

#include "trace/traced.h"

namespace peakmem {
namespace {

TEST(Cat, OfThreeIsOneTensor) {
  const Program program = testing::traced([](Tape& tape) {
    Tensor joined =
        cat({testing::leaf(tape, {2, 1, 4}), testing::leaf(tape, {2, 1, 4}), testing::leaf(tape, {2, 3, 4})}, 1);
    EXPECT_TRUE(identical(joined.size(1), Expr(5)));
    return joined;
  });
  EXPECT_EQ(testing::made(program, "cat"), 1);
}

}  // namespace
}  // namespace peakmem
