#include <gtest/gtest.h>

#include "trace/engine.h"
#include "trace/evaluate.h"
#include "trace/ops.h"

namespace peakmem {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr int64_t kWorkspace = int64_t{8320} * 1024;  // of one cuBLAS handle on an A100
constexpr DType kHalf = DType::kBFloat16;

/// What Liger-Kernel's own benchmark measured on an A100 (benchmark/data/all_benchmark_data.csv, liger 0.2.1, "memory",
/// median of max_memory_allocated in MiB), by sequence length.
struct Measured {
  int64_t seq;
  double mebibytes;
};

int64_t bytes(double mebibytes) { return static_cast<int64_t>(mebibytes * kMiB); }

int64_t peak_of(Tape& tape) {
  const Program program = tape.finish();
  return highest(program, *evaluate(program, {}), 1, &PhaseLevels::tensors).bytes;
}

// rope, "full": forward and backward of 32 heads and 8 kv heads, 256 wide, in bf16. Nothing is allocated but what the
// benchmark itself makes: q, k, their gradients, cos and sin. Beside it were positions, inv_freq and one workspace.
TEST(Fused, RopeTakesWhatLigerMeasured) {
  constexpr int64_t kHeadDim = 256;
  for (const auto& [seq, measured] : std::initializer_list<Measured>{
           {1024, 49.13330078125}, {2048, 90.14111328125}, {8192, 336.18798828125}, {16384, 664.25048828125}}) {
    Tape tape;
    tape.begin_phase(1, 0, "full");
    const auto heads = [&](int64_t count) {
      return transpose(tape.make({1, seq, count, kHeadDim}, kHalf, "randn"), 1, 2);
    };
    const Tensor query = tape.leaf(heads(32));
    const Tensor key = tape.leaf(heads(8));
    const Tensor cos = tape.make({1, seq, kHeadDim}, kHalf, "cos");
    const Tensor sin = tape.make({1, seq, kHeadDim}, kHalf, "sin");
    const Tensor gradient = heads(32);  // the key's comes as zeros, as large as the benchmark's own
    const std::array<Tensor, 2> rotated = liger_rope(query, key, cos, sin);
    run_backward(tape, rotated[0], gradient);
    EXPECT_EQ(peak_of(tape) + kWorkspace + 8 * seq + 4 * kHeadDim / 2, bytes(measured)) << seq;
  }
}

// geglu, "forward": LigerGEGLUMLP of 4096 and 11008 on 8 sequences, in bf16, beside two workspaces.
TEST(Fused, GegluTakesWhatLigerMeasured) {
  for (const auto& [seq, measured] :
       std::initializer_list<Measured>{{1024, 918.25}, {2048, 1562.25}, {4096, 2850.25}, {8192, 5426.25}}) {
    Tape tape;
    tape.begin_phase(1, 0, "forward");
    const Tensor gate = tape.parameter({11008, 4096}, kHalf, "gate_proj");
    const Tensor up = tape.parameter({11008, 4096}, kHalf, "up_proj");
    const Tensor down = tape.parameter({4096, 11008}, kHalf, "down_proj");
    const Tensor x = tape.leaf(tape.make({8, seq, 4096}, kHalf, "randn"));
    Tensor gated = linear(x, gate, Tensor());
    const Tensor y = linear(liger_gated(false, std::move(gated), linear(x, up, Tensor())), down, Tensor());
    EXPECT_EQ(peak_of(tape) + 2 * kWorkspace, bytes(measured)) << seq;
  }
}

// What the norm keeps: its input's storage, which it shares, and a number per row. Its backward writes over the
// incoming gradient, or not.
TEST(Fused, RmsNormWritesOverItsGradient) {
  for (const bool in_place : {true, false}) {
    Tape tape;
    tape.begin_phase(1, 0, "full");
    const Tensor weight = tape.parameter({64}, kHalf, "weight", false);
    const Tensor x = tape.leaf(tape.make({2, 8, 64}, kHalf, "randn"));
    Tensor y = liger_rms_norm(x, weight, in_place, 108);
    Tensor scaled = mul_scalar(std::move(y));
    run_backward(tape, scaled);
    const int64_t rows = 16;
    const int64_t tensor = rows * 64 * 2;
    // x, scaled, ones and the gradient behind the scaling; another one where it is not reused.
    EXPECT_EQ(peak_of(tape), (in_place ? 4 : 5) * tensor + rows * 4 + 128) << in_place;
  }
}

TEST(Fused, PiecesAddUpAndThreeStandForMore) {
  EXPECT_EQ(sizes_of({100, 100, 1}).size(), 1U);
  const std::vector<Expr> two = sizes_of({100, 64, 2});
  EXPECT_EQ(two[0].number() + two[1].number(), 100);
  const std::vector<Expr> many = sizes_of({1000, 64, 3});
  EXPECT_EQ(many[1].number(), 64);
  EXPECT_EQ(many[2].number(), 1000 - 15 * 64);
}

}  // namespace
}  // namespace peakmem
