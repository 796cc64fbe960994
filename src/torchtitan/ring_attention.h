// PyTorch's attention over context-parallel ranks that pass keys and values round (torch 2.13,
// distributed/tensor/experimental/_context_parallel/_attention.py), balanced: each rank has two stretches of a
// sequence.
//
//     step      0          1 … rank              rank + 1 … size - 1
//     attends   all to     all of q to half      half of q to all
//               all        of the keys           the keys
#pragma once

#include "trace/ops.h"

namespace peakmem::titan {

/// The ranks that a sequence is divided over, and which of them this is.
struct Ring {
  int64_t size = 1;
  int64_t rank = 0;
};

/// Queries [b, heads, s, d], keys and values [b, groups, s, d] of this rank's part, causal, in cuDNN's kernel. Parts
/// are merged in fp32.
Tensor ring_attention(Tensor query, Tensor key, Tensor value, const Ring& ring);

/// What a context-parallel rank is given of a batch (prepare_context_parallel_input): its tokens, labels and the
/// positions of both.
struct RingInput {
  Tensor tokens, labels, positions;
};
RingInput ring_input(Tape& tape, int64_t batch, int64_t seq, const Ring& ring);

}  // namespace peakmem::titan
