
#include <gtest/gtest.h>

#include "trace/traced.h"

namespace peakmem {
namespace {

TEST(AddInPlace, MakesNothingAndCastsTheOthersGradient) {
  const Program program = testing::traced([](Tape& tape) {
    const Tensor scores = div_scalar(testing::leaf(tape, {2, 3}, DType::kBFloat16));
    return add_in_place(scores, testing::leaf(tape, {2, 3}));
  });
  EXPECT_EQ(testing::made(program, "add_"), 0);
  EXPECT_EQ(testing::made(program, "_to_copy"), 1);
}

}  // namespace
}  // namespace peakmem
