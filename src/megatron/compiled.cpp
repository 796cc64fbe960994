#include "megatron/compiled.h"

#include <algorithm>
#include <cstdlib>

#include "megatron/checkpoint.h"
#include "trace/workspace.h"

namespace peakmem::mcore {
namespace {

int64_t up(int64_t value, int64_t by) { return (value + by - 1) / by; }

/// The divisor of `value` nearest to `wanted`, the smaller of two.
int64_t nearest_divisor(int64_t value, int64_t wanted) {
  int64_t best = 1;
  for (int64_t i = 1; i <= value; ++i)
    if (value % i == 0 && std::abs(i - wanted) < std::abs(best - wanted)) best = i;
  return best;
}

// Inputs: x 0, bias 1, residual 2. The mask goes when it has been read, before the bias's sums.
void backward(Gradients& g, bool drops) {
  Tape& tape = g.in[0].tape();
  g.out[0] = g.in[0];
  if (drops) {
    g.out[0] = tape.make(contiguous(g.in[0].shape()), g.in[0].dtype(), "mul");
    set_data(g.saved(0), tape.make(Shape{0}, DType::kBool, "empty"));
  }
  if (g.needs(1)) {
    const int64_t columns = g.input_shape(1).elements().number();
    const int64_t rows = g.in[0].shape().elements().number() / columns;
    const int64_t splits = outer_splits(tape.processor, rows, columns);
    const Tensor parts = workspace(tape, splits > 1 ? splits * columns * size_of(DType::kFloat32) : 0, "sum");
    g.out[1] = tape.make(g.input_shape(1), g.in[0].dtype(), "sum");
  }
  if (g.needs(2)) g.out[2] = g.in[0];
}
const Op kBiasDropoutAdd = {"bias_dropout_add", run_function};

}  // namespace

int64_t outer_splits(const Processor& processor, int64_t rows, int64_t columns) {
  constexpr int64_t kLeast = 32;  // elements a thread adds up
  constexpr int64_t kMost = 512;
  constexpr int64_t kRowsPerThread = 4;
  constexpr int64_t kThreads = 256;
  const int64_t at_once = processor.multiprocessors * processor.threads;
  const int64_t elements = rows * columns;
  int64_t size = kMost;
  if (elements < kLeast * at_once) {
    size = kLeast;
  } else if (elements < kMost * at_once) {
    const int64_t blocks = up(at_once / kThreads, up(columns, 128));
    size = up(rows, kRowsPerThread * blocks);
    const int64_t divisor = nearest_divisor(rows, size);
    if (std::abs(size - divisor) < 20) size = std::max(divisor, kLeast);
  } else if (const int64_t divisor = nearest_divisor(rows, kMost); std::abs(divisor - kMost) < 50) {
    size = divisor;
  }
  return up(rows, kRowsPerThread * size);
}

Tensor compiled_bias_dropout_add(Tensor x, const Tensor& bias, const Tensor& residual, double p) {
  const Tensor input = std::move(x);
  Tape& tape = input.tape();
  const bool drops = p > 0;
  Node* node = tape.record(kBiasDropoutAdd, {&input, &bias, &residual});
  const Tensor seeds = drops ? tape.make({1}, DType::kInt64, "inductor_seeds") : Tensor();
  const Tensor mask = drops ? tape.make(contiguous(input.shape()), DType::kBool, "gt") : Tensor();
  Tensor output = tape.make(contiguous(input.shape()), input.dtype(), kBiasDropoutAdd.name);
  if (drops) tape.save(node, mask);
  Tape::attach(node, output);
  if (node != nullptr) node->function = [drops](Gradients& g) { backward(g, drops); };
  return output;
}

}  // namespace peakmem::mcore
