#include "trace/attention_workspace.h"

#include "trace/workspace.h"

namespace peakmem {
namespace {

constexpr int64_t kFloat = 4;
constexpr int64_t kFlashRows = 128;    // queries are rounded up to
constexpr int64_t kLock = 16;          // of a block of gradients that several thread blocks add to
constexpr int64_t kLargeShared = 128;  // KiB that the kernels for large shared memory need at least

/// A block of `queries` rows and `columns` times `width` of the head.
EfficientBlocks blocks_of(int64_t queries, int64_t width, int64_t columns) {
  return {queries, columns * (queries * width * kFloat + kLock)};
}

}  // namespace

EfficientBlocks efficient_blocks(const Processor& processor, DType dtype, int64_t head_dim) {
  const bool is_half = size_of(dtype) == 2;
  const bool has_room = processor.shared_kib >= kLargeShared;
  if (head_dim <= 64) return blocks_of(64, 64, 1);
  if (head_dim > 128) return {};
  if (has_room) return is_half ? blocks_of(128, 128, 1) : blocks_of(128, 64, 2);
  return is_half ? blocks_of(128, 64, 2) : blocks_of(64, 64, 2);
}

void run_flash_backward(const Tensor& query, const Tensor& key, Expr columns) {
  constexpr const char* kName = "_flash_attention_backward";
  Tape& tape = query.tape();
  const Expr rows = query.size(0) * query.size(1) * round_up(query.size(2), kFlashRows);
  const Tensor softmax_d = workspace(tape, rows * kFloat, kName);
  const Tensor dq_accum = workspace(tape, rows * columns * kFloat, kName);
  if (identical(query.size(1), key.size(1))) return;
  const Expr expanded = query.size(0) * key.size(2) * query.size(1) * query.size(3) * size_of(query.dtype());
  const Tensor dk_expanded = workspace(tape, expanded, kName);
  const Tensor dv_expanded = workspace(tape, expanded, kName);
}

// In fp32 the product of output and gradient is summed by ops of its own, in half by the kernel.
void run_efficient_backward(const Tensor& query, const EfficientBlocks& blocks) {
  constexpr const char* kName = "_efficient_attention_backward";
  Tape& tape = query.tape();
  const Expr heads = query.size(0) * query.size(1);
  const Expr rows = heads * query.size(2) * kFloat;
  Tensor product;
  Tensor sum;
  if (size_of(query.dtype()) > 2) {
    product = workspace(tape, dense_bytes(query), kName);
    sum = workspace(tape, rows, kName);
  }
  const Tensor delta = workspace(tape, rows, kName);
  product.reset();
  sum.reset();
  const Tensor gradients = workspace(tape, heads * ceil_div(query.size(2), blocks.queries) * blocks.bytes, kName);
}

}  // namespace peakmem
