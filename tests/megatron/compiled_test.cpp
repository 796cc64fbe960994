// How Inductor cuts a sum over rows.
#include "megatron/compiled.h"

namespace peakmem::mcore {
namespace {

TEST(Compiled, SumsAreCutAsInductorCutsThem) {
  const Processor h100 = {.compute_capability = 90, .multiprocessors = 132};
  EXPECT_EQ(outer_splits(h100, 4096, 512), 32);       // few elements: 32 a thread, as its trace has it
  EXPECT_EQ(outer_splits(h100, 8192, 4096), 32);      // 33 blocks for each 128 columns: 63 a thread, and 64 divides
  EXPECT_EQ(outer_splits(h100, 1 << 20, 4096), 512);  // 512 elements a thread at most
  EXPECT_EQ(outer_splits(h100, 64, 512), 1);
}

TEST(Compiled, DropoutKeepsAMaskOfBooleans) {
  Tape tape;
  tape.begin_phase(1, 0, "forward");
  const Shape shape = {16, 2, 8};
  const Tensor x = tape.leaf(tape.make(shape, DType::kBFloat16, "x"));
  const Tensor residual = tape.leaf(tape.make(shape, DType::kBFloat16, "residual"));
  const size_t before = tape.program.storages.size();
  const Tensor out = compiled_bias_dropout_add(x, {}, residual, 0.1);
  ASSERT_EQ(tape.program.storages.size(), before + 3);  // seeds, mask, output
  EXPECT_EQ(tape.program.storages[before + 1].bytes.number(), 16 * 2 * 8);
  const size_t plain = tape.program.storages.size();
  const Tensor none = compiled_bias_dropout_add(x, {}, residual, 0);
  EXPECT_EQ(tape.program.storages.size(), plain + 1);
}

}  // namespace
}  // namespace peakmem::mcore
