#include "trace/gather.h"

#include <gtest/gtest.h>

#include "trace/traced.h"

namespace peakmem {
namespace {

using testing::leaf;
using testing::made;
using testing::traced;

TEST(Gather, ScattersItsGradientIntoZeros) {
  const Program program = traced([](Tape& tape) {
    const Tensor index = tape.make({1, 1, 3, 5}, DType::kInt64, "clamp");
    return gather_last(leaf(tape, {2, 3, 4}), index);
  });
  EXPECT_EQ(made(program, "gather"), 1);
  EXPECT_EQ(made(program, "new_zeros"), 1);
}

TEST(RepeatRows, SumsItsGradientUnlessThereIsOne) {
  const auto repeated = [](int64_t times) {
    return traced([times](Tape& tape) { return repeat_rows(leaf(tape, {2, 3, 4}), times); });
  };
  EXPECT_EQ(made(repeated(3), "repeat"), 1);
  EXPECT_EQ(made(repeated(3), "sum"), 2);  // the trace's own sum besides
  EXPECT_EQ(made(repeated(1), "sum"), 1);
}

}  // namespace
}  // namespace peakmem
