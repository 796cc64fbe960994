// The tables that FSDP2's fused copies read on the device while they run: addresses and sizes of every parameter, and
// which parameter each thread block works on (aten/src/ATen/native/cuda/TensorShape.cu, torch 2.13).
#pragma once

#include <vector>

#include "size/expr.h"
#include "trace/processor.h"

namespace peakmem {

/// Bytes of split_with_sizes_copy's table, which hands out what was gathered: `shards` are each parameter's bytes of
/// one rank. How many thread blocks there are depends on the job's own values of symbols.
Expr split_table_bytes(const Processor& processor, const std::vector<Expr>& shards, int64_t ranks,
                       const std::vector<int64_t>& symbol_values);

/// Bytes of _chunk_cat's table, which puts gradients side by side for a reduction: `shards` are each gradient's bytes
/// of one rank, in the reduction's dtype.
Expr chunk_cat_table_bytes(const std::vector<Expr>& shards);

}  // namespace peakmem
