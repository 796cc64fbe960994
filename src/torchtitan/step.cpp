#include "torchtitan/step.h"

#include "torchtitan/trainer.h"

namespace peakmem::titan {

Program trace_rank(const Job& job) {
  Tape tape;
  tape.begin_phase(0, -1, "model");
  Trainer trainer(tape, job);
  for (const int32_t step : {1, 2}) trainer.train_step(step);
  return tape.finish();
}

}  // namespace peakmem::titan
