// Two training steps of one rank of a Megatron-Core run, as a trace.
#pragma once

#include "megatron/job.h"
#include "trace/program.h"

namespace peakmem::mcore {

/// Traces
///
///     model.zero_grad_buffer() ; optimizer.zero_grad()
///     forward_backward_func(...) ; optimizer.step()
///
/// twice, after the model was built ("model", step 0) and wrapped ("wrap"). Phases of a step are "zero_grad", "forward"
/// and "backward" of every micro-batch, as they take turns, and "optimizer".
Program trace_rank(const Job& job);

}  // namespace peakmem::mcore
