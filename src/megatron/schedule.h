// Which micro-batch runs when on a rank (Megatron-Core 0.16.1, pipeline_parallel/schedules.py).
#pragma once

#include "megatron/rank.h"

namespace peakmem::mcore {

/// forward_backward_no_pipelining, _pipelining_without_interleaving (1F1B) or _pipelining_with_interleaving.
/// What is reported of the losses, on the last stage.
std::vector<Tensor> forward_backward(Rank& rank, int32_t step);

}  // namespace peakmem::mcore
