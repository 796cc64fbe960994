// Which of PyTorch's attention kernels runs, and what their backward passes take for themselves.
#pragma once

#include "size/dtype.h"
#include "trace/processor.h"
#include "trace/tape.h"

namespace peakmem {

/// The memory-efficient kernel for heads of one width and one dtype. It cuts a head's queries into blocks, each of
/// which adds up its gradient in memory of its own. Where a head is too wide for registers (past 128, or 96 on GPUs
/// with little shared memory) the gradients of keys and values of half precision are added up in fp32, in blocks of
/// keys.
struct EfficientKernel {
  bool exists = true;  // where it does not, PyTorch takes plain products
  int64_t queries = 64;
  int64_t bytes = 0;        // of a block of queries
  int64_t key_columns = 0;  // of the head, in blocks of keys; 0 where these have no memory
  bool operator==(const EfficientKernel&) const = default;
};

/// What scaled_dot_product_attention has to choose from for heads and values so wide on one GPU (sdp_utils.cpp,
/// torch 2.13).
struct AttentionKernels {
  bool flash = true;  // in half precision without a mask
  EfficientKernel fp32;
  EfficientKernel fp16;
  EfficientKernel bf16;

  const EfficientKernel& efficient(DType dtype) const;
  bool operator==(const AttentionKernels&) const = default;
};

/// Flash is for Ampere and later, and heads up to 256 wide; the efficient kernel wants heads in whole steps of what the
/// GPU's products are aligned to (minimum_gemm_alignment), and takes bf16 from Ampere on.
AttentionKernels attention_kernels(const Processor& processor, int64_t head_dim, int64_t value_dim);

/// What flash's backward rounds a head dim, a multiple of 8, up to a multiple of: head_size_rounded.
constexpr int64_t flash_column_step(int64_t head_dim) { return head_dim <= 128 ? 32 : 64; }

/// mha_bwd of PyTorch's flash_api.cpp (torch 2.13) on [B, heads, T, D]: the sums of softmax's gradient, the query's
/// gradient in fp32, of `columns` a row, and those of keys and values for every head of the queries.
void run_flash_backward(const Tensor& query, const Tensor& key, Expr columns);

/// _efficient_attention_backward (attention_backward.cu, torch 2.13) on [B, heads, T, D]; the
/// gradient is of what attention gave.
void run_efficient_backward(const Tensor& query, const Tensor& gradient, const EfficientKernel& kernel);

}  // namespace peakmem
