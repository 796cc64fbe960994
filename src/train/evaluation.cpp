#include "train/evaluation.h"

#include "train/trainers.h"

namespace peakmem {
namespace {

/// Liger's models make logits where they do not train, unless Trainer tells them that the loss is all it wants
/// (5.23, Trainer.prediction_step, skip_logits).
LossKernel evaluated_loss(const Recipe& recipe) {
  const bool wants_loss_alone = recipe.trainer->is_transformers_loop && !recipe.eval_logits;
  const bool skips_logits = recipe.kernels.loss != LossKernel::kFusedLinear || wants_loss_alone;
  return skips_logits ? recipe.kernels.loss : LossKernel::kHf;
}

}  // namespace

Job evaluation_of(const Job& job) {
  Job evaluation = job;
  if (job.recipe.eval_batch == 0) return evaluation;
  evaluation.recipe.batch = job.recipe.eval_batch;
  evaluation.recipe.kernels.loss = evaluated_loss(job.recipe);
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
