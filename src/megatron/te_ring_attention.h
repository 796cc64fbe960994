// TransformerEngine's attention over context-parallel ranks that pass keys and values round (2.20.2,
// pytorch/attention/dot_product_attention/context_parallel.py, AttnFuncWithCPAndKVP2P), with the flash-attn package.
//
//     step      0          1 … rank               rank + 1 … size - 1
//     section   diagonal   all of q, half of kv   half of q, all of kv
#pragma once

#include "trace/ops.h"

namespace peakmem::mcore {

/// The ranks that a sequence is divided over, each with two stretches of it, and which of them this is.
struct Ring {
  int64_t size = 1;
  int64_t rank = 0;
};

/// Queries [s, b, heads, d], keys and values [s, b, groups, d] of this rank's part, causal, in half precision, without
/// dropout's masks: the context [s, b, heads * d].
Tensor te_ring_attention(Tensor query, Tensor key, Tensor value, const Ring& ring);

}  // namespace peakmem::mcore
