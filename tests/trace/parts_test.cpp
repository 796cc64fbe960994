#include "trace/parts.h"

#include <gtest/gtest.h>

#include "trace/ops.h"
#include "trace/traced.h"

namespace peakmem {
namespace {

using testing::leaf;
using testing::made;
using testing::traced;

TEST(Parts, AreViewsWhoseGradientsAreJoinedOnce) {
  const Program program = traced([](Tape& tape) {
    const std::vector<Tensor> parts = split_in_parts(leaf(tape, {7, 4}), 0, {2, 1, 4});
    std::vector<Tensor> grown;
    for (const Tensor& part : parts) grown.push_back(mul_scalar(part));
    return cat_parts(grown, 0);
  });
  EXPECT_EQ(made(program, "cat"), 2);  // forwards of what grew, backwards of its gradients
  EXPECT_EQ(made(program, "slice_backward"), 0);
}

TEST(Parts, OfOneAreCopiedToo) {
  const Program program = traced([](Tape& tape) { return cat_parts(split_in_parts(leaf(tape, {3, 4}), 0, {3}), 0); });
  EXPECT_EQ(made(program, "cat"), 2);
}

TEST(TakeRowsByHost, KeepsNoIndexAndScattersItsGradientIntoZeros) {
  const Program program = traced([](Tape& tape) { return take_rows_by_host(leaf(tape, {5, 4}), 9); });
  EXPECT_EQ(made(program, "index"), 1);
  EXPECT_EQ(made(program, "new_zeros"), 1);
}

}  // namespace
}  // namespace peakmem
