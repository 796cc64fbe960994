// What the backward passes of PyTorch's fused attention kernels take for themselves, beside the gradients.
#pragma once

#include "size/dtype.h"
#include "trace/processor.h"
#include "trace/tape.h"

namespace peakmem {

/// How the efficient kernel cuts a head's queries: each block of them adds up its gradient in memory of its own.
struct EfficientBlocks {
  int64_t queries = 64;
  int64_t bytes = 0;  // of a block; 0 where it is not known (heads wider than 128)
  bool operator==(const EfficientBlocks&) const = default;
};

/// Which kernel PyTorch takes for heads so wide (cutlassB.h, kernel_backward.h: workspace_elements_gq; torch 2.13).
EfficientBlocks efficient_blocks(const Processor& processor, DType dtype, int64_t head_dim);

/// What flash's backward rounds a head dim, a multiple of 8, up to a multiple of: head_size_rounded.
constexpr int64_t flash_column_step(int64_t head_dim) { return head_dim <= 128 ? 32 : 64; }

/// mha_bwd of PyTorch's flash_api.cpp (torch 2.13) on [B, heads, T, D]: the sums of softmax's gradient, the query's
/// gradient in fp32, of `columns` a row, and those of keys and values for every head of the queries.
void run_flash_backward(const Tensor& query, const Tensor& key, Expr columns);

/// _efficient_attention_backward (attention_backward.cu, torch 2.13) on [B, heads, T, D].
void run_efficient_backward(const Tensor& query, const EfficientBlocks& blocks);

}  // namespace peakmem
