#include "trace/masked_fill.h"

#include <gtest/gtest.h>

#include "trace/traced.h"

namespace peakmem {
namespace {

TEST(MaskedFill, IsFilledAgainInTheBackwardPass) {
  const Program program = testing::traced([](Tape& tape) {
    const Tensor mask = tape.make({2, 1, 3}, DType::kBool, "bitwise_not");
    return masked_fill(testing::leaf(tape, {2, 4, 3}), mask);
  });
  EXPECT_EQ(testing::made(program, "masked_fill"), 2);
}

}  // namespace
}  // namespace peakmem
