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
    forward_backward(rank, step);
    tape.begin_phase(step, -1, "optimizer");
    rank.step();
  }
  return tape.finish();
}

}  // namespace peakmem::mcore
