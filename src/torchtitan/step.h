// Two training steps of one rank of a torchtitan run, as a trace.
#pragma once

#include "torchtitan/job.h"
#include "trace/program.h"

namespace peakmem::titan {

/// Traces
///
///     optimizers.zero_grad() ; inputs, labels to the device
///     pred = model(inputs) ; loss = cross_entropy(pred.float(), labels, "sum") / tokens ; del pred
///     loss.backward() ; clip_grad_norm_ ; optimizers.step()
///
/// twice, after the model was built ("model", step 0). Phases of a step are "input", "forward", "backward", "clip" and
/// "optimizer".
Program trace_rank(const Job& job);

}  // namespace peakmem::titan
