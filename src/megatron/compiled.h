// What Megatron-Core hands to torch.compile (jit_fuser: fusions/fused_bias_dropout.py), as Inductor lays it out
// (torch 2.13): one kernel forward, one backward, nothing between.
#pragma once

#include "trace/ops.h"

namespace peakmem::mcore {

/// Into how many parts Inductor cuts a sum over `rows` rows of `columns` columns that lie side by side
/// (torch/_inductor/choices.py, reduction_split_factor), each with partial sums in fp32.
int64_t outer_splits(const Processor& processor, int64_t rows, int64_t columns);

/// bias_dropout_add_fused_train: residual + dropout(x + bias), which keeps a mask of booleans and no more.
Tensor compiled_bias_dropout_add(Tensor x, const Tensor& bias, const Tensor& residual, double p);

}  // namespace peakmem::mcore
