#include "trace/attention_kernels.h"

#include <algorithm>
#include <numeric>

#include "trace/workspace.h"

namespace peakmem {
namespace {

constexpr int64_t kFloat = 4;
constexpr int kVolta = 70;   // the first with tensor cores, for half precision
constexpr int kAmpere = 80;  // with flash attention, and tensor cores for bf16 and fp32
constexpr int64_t kWidestFlash = 256;
constexpr int64_t kFlashRows = 128;    // queries are rounded up to
constexpr int64_t kKeys = 64;          // of a block of keys, in the efficient kernel
constexpr int64_t kMostSplits = 200;   // over all heads
constexpr int64_t kLock = 16;          // of a block of gradients that several thread blocks add to
constexpr int64_t kLargeShared = 128;  // KiB that the kernels for large shared memory need at least

/// Blocks of `queries` rows and `columns` times `width` of the head.
EfficientKernel in_blocks(int64_t queries, int64_t width, int64_t columns) {
  return {true, queries, columns * (queries * width * kFloat + kLock)};
}

/// One whose output does not stay in registers: in half precision the gradients of keys and values have memory too.
EfficientKernel beyond_registers(int64_t queries, bool is_half, int64_t head_dim) {
  EfficientKernel kernel = in_blocks(queries, 64, (head_dim + 63) / 64);
  if (is_half) kernel.key_columns = (head_dim + queries - 1) / queries * queries;
  return kernel;
}

/// How many blocks of keys of a head are worked on at once where their gradients have memory of their own
/// (attention_backward.cu, num_splits_key).
Expr key_splits(const Tensor& query) {
  const Expr at_most = most(1, floor_div(kMostSplits, query.size(0) * query.size(1)));
  return least(ceil_div(query.size(2), kKeys), at_most);
}

/// Which kernel PyTorch takes for heads so wide (cutlassB.h, kernel_backward.h: workspace_elements_gq).
EfficientKernel efficient_kernel(const Processor& processor, bool is_half, int64_t head_dim) {
  const bool has_room = processor.shared_kib >= kLargeShared;
  if (head_dim <= 64) return in_blocks(64, 64, 1);
  if (head_dim > 128) return beyond_registers(has_room || is_half ? 128 : 64, is_half, head_dim);
  if (head_dim > 96 && is_half && !has_room && processor.compute_capability >= kAmpere)
    return beyond_registers(64, is_half, head_dim);
  if (has_room) return is_half ? in_blocks(128, 128, 1) : in_blocks(128, 64, 2);
  return is_half ? in_blocks(128, 64, 2) : in_blocks(64, 64, 2);
}

/// minimum_gemm_alignment: 16 bytes where the GPU has tensor cores for the dtype, else one element.
int64_t gemm_alignment(int compute_capability, bool is_half) {
  const bool has_tensor_cores = compute_capability >= kAmpere || (compute_capability >= kVolta && is_half);
  return !has_tensor_cores ? 1 : is_half ? 8 : 4;
}

}  // namespace

const EfficientKernel& AttentionKernels::efficient(DType dtype) const {
  return dtype == DType::kFloat16 ? fp16 : dtype == DType::kBFloat16 ? bf16 : fp32;
}

AttentionKernels attention_kernels(const Processor& processor, int64_t head_dim, int64_t value_dim) {
  const int capability = processor.compute_capability;
  const int64_t wider = std::max(head_dim, value_dim);
  const int64_t common = std::gcd(head_dim, value_dim);
  AttentionKernels kernels;
  kernels.flash = capability >= kAmpere && head_dim <= kWidestFlash;
  kernels.fp32 = efficient_kernel(processor, false, wider);
  kernels.fp32.exists = common % gemm_alignment(capability, false) == 0;
  kernels.fp16 = efficient_kernel(processor, true, wider);
  kernels.fp16.exists = common % gemm_alignment(capability, true) == 0;
  kernels.bf16 = kernels.fp16;
  kernels.bf16.exists = kernels.fp16.exists && capability >= kAmpere;
  return kernels;
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
void run_efficient_backward(const Tensor& query, const Tensor& gradient, const EfficientKernel& kernel) {
  constexpr const char* kName = "_efficient_attention_backward";
  Tape& tape = query.tape();
  const Expr heads = query.size(0) * query.size(1);
  const Expr rows = heads * query.size(2) * kFloat;
  Tensor product;
  Tensor sum;
  if (size_of(query.dtype()) > 2) {
    product = workspace(tape, dense_bytes(gradient), kName);
    sum = workspace(tape, rows, kName);
  }
  Tensor gradients;  // it goes after delta
  const Tensor delta = workspace(tape, rows, kName);
  sum.reset();
  product.reset();
  Expr bytes = ceil_div(query.size(2), kernel.queries) * kernel.bytes;
  if (kernel.key_columns > 0) bytes = bytes + key_splits(query) * (2 * kKeys * kernel.key_columns * kFloat);
  gradients = workspace(tape, heads * bytes, kName);
}

}  // namespace peakmem
