// What DTensor does to one rank's memory where torchtitan divides a model's tensors among tensor-parallel ranks
// (torch 2.13, distributed/tensor/_redistribute.py, _ops/_embedding_ops.py, parallel/loss.py).
//
// Functional collectives give a tensor of their own and are then waited for (wait_tensor), which on shapes gives
// another; records hold both. A group of one rank does nothing.
#pragma once

#include "trace/tape.h"

namespace peakmem::titan {

/// Shard(1) -> Replicate of [b, s / ranks, d]: gathered along the batch, then put together along the sequence. The
/// gradient, a sum over ranks, is scattered.
Tensor gather_sequence(Tensor input, int64_t ranks);
/// Partial -> Shard(1) of [b, s, d], whose gradient is gathered.
Tensor scatter_sequence(Tensor input, int64_t ranks);
/// Shard(-1) -> Replicate of logits [b, s, v / ranks]; of the gradient this rank's part is copied out.
Tensor gather_vocabulary(Tensor logits, int64_t ranks);

/// An embedding whose weight [v / ranks, d] has a part of the rows: tokens of others are masked. Its gradient is made
/// for all rows, of which this rank's are for who takes it to copy out.
Tensor embedding_of_rows(const Tensor& tokens, const Tensor& weight, int64_t ranks);

/// cross_entropy(logits, labels, "sum") of logits [rows, v / ranks] in fp32 under loss_parallel().
Tensor parallel_cross_entropy(Tensor logits, const Tensor& labels);

}  // namespace peakmem::titan
