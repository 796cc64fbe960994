#include "megatron/step.h"

#include "megatron/schedule.h"

namespace peakmem::mcore {

Program trace_rank(const Job& job) {
  Tape tape;
  tape.begin_phase(0, -1, "model");
  Rank rank(tape, job);
  tape.begin_phase(0, -1, "wrap");
  rank.wrap();
  for (const int32_t step : {1, 2}) {
    tape.begin_phase(step, -1, "zero_grad");
    rank.zero_grad();
    std::vector<Tensor> losses = forward_backward(rank, step);
    if (!job.training.pretrains) losses.clear();
    tape.begin_phase(step, -1, "optimizer");
    rank.step();
    rank.log(std::move(losses));
  }
  return tape.finish();
}

}  // namespace peakmem::mcore
