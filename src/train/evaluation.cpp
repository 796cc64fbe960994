#include "train/evaluation.h"

namespace peakmem {

Job evaluation_of(const Job& job) {
  Job evaluation = job;
  if (job.recipe.eval_batch == 0) return evaluation;
  evaluation.recipe.batch = job.recipe.eval_batch;
  evaluation.recipe.checkpointing = Checkpointing::kNone;  // layers are checkpointed in training mode alone
  return evaluation;
}

Dims evaluation_dims(const Job& job, Dims dims) {
  dims.examples = job.recipe.eval_batch;
  dims.batch = job.recipe.choices * dims.examples;
  dims.loss_rows = loss_rows(job.description, dims);
  return dims;
}

}  // namespace peakmem
