// Taking one of a dimension, and attention whose keys are one head for all: what Falcon does.
#pragma once

#include "trace/ops.h"

namespace peakmem {

/// x[:, ..., i, ...] at a dimension that is not the last, which goes: a view.
Tensor select_at(Tensor input, int dim);
/// x[:, ..., [i], ...] at that dimension, which stays: a copy.
Tensor pick(Tensor input, int dim);
/// torch.matmul of [B, heads, ...] and [B, 1, ...].
Tensor matmul_broadcast(Tensor self, Tensor other);
/// torch.nn.functional.scaled_dot_product_attention of many heads of queries and one of keys and values, without
/// enable_gqa: plain products (_scaled_dot_product_attention_math of attention.cpp, torch 2.13).
Tensor broadcast_attention(Tensor query, Tensor key, Tensor value, Tensor mask);

}  // namespace peakmem
