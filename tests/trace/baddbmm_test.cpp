#include "trace/baddbmm.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "trace/engine.h"
#include "trace/ops.h"

namespace peakmem {
namespace {

/// How many tensors of that name a forward and backward pass make, of leaves in fp32.
int64_t made(std::string_view name, bool scaled) {
  Tape tape;
  tape.begin_phase(1, 0, "full");
  const auto leaf = [&](const Shape& shape) { return tape.leaf(tape.make(shape, DType::kFloat32, "randn")); };
  const Tensor left = leaf({2, 3, 4});
  const Tensor right = leaf({2, 4, 5});
  const Tensor weight = tape.parameter({2, 3, 5}, DType::kFloat32, "weight", false);
  run_backward(tape, sum_all(baddbmm(weight, left, right, scaled)), Tensor());
  const Program program = tape.finish();
  return std::count_if(program.storages.begin(), program.storages.end(),
                       [&](const Storage& storage) { return name == storage.made_by; });
}

TEST(Baddbmm, MultipliesBothGradientsUnlessAlphaIsOne) {
  EXPECT_EQ(made("bmm", true), 2);
  EXPECT_EQ(made("mul", true), 2);
  EXPECT_EQ(made("bmm", false), 2);
  EXPECT_EQ(made("mul", false), 0);
}

}  // namespace
}  // namespace peakmem
