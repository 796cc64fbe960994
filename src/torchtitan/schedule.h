// Which micro-batch runs when on a rank of a pipeline (torch 2.13, distributed/pipelining/schedules.py and stage.py).
#pragma once

#include <vector>

#include "torchtitan/trainer.h"

namespace peakmem::titan {

/// ScheduleGPipe or Schedule1F1B over the rank's stage, and the reduction of gradients behind it. `received` are the
/// stage's buffers, which the first call makes; `losses` gets a loss of every micro-batch on the last stage.
void run_schedule(Trainer& trainer, const Tensor& inputs, const Tensor& targets, std::vector<Tensor>& received,
                  std::vector<Tensor>& losses);

}  // namespace peakmem::titan
