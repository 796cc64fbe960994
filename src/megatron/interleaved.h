// Pipelines whose stages have several chunks of the model each (forward_backward_pipelining_with_interleaving,
// Megatron-Core 0.16.1, pipeline_parallel/schedules.py).
#pragma once

#include <vector>

#include "megatron/rank.h"

namespace peakmem::mcore {

/// Which micro-batch of which chunk a stage runs.
struct Turn {
  int64_t micro_batch = 0;
  int64_t chunk = 0;
};

/// get_schedule_table: groups of as many micro-batches as there are stages go through one chunk after another.
std::vector<Turn> schedule_table(int64_t micro_batches, int64_t chunks, int64_t group);

/// How many of a stage's turns go forward before its first goes backward.
int64_t warmup_turns(const Job& job, int64_t stage);

/// All micro-batches of a step, forward and backward, without the sums after them.
void run_interleaved(Rank& rank, int32_t step, std::vector<Tensor>& losses);

}  // namespace peakmem::mcore
