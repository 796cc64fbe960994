// The evaluation that follows a step: forward passes without gradients.
#pragma once

#include "model/model.h"
#include "train/batches.h"
#include "train/job.h"

namespace peakmem {

/// The job with the evaluation's batch in place of the training's; the same job where nothing is evaluated.
Job evaluation_of(const Job& job);
/// The sizes of the evaluation, those of training being `dims`; its batch is a number.
Dims evaluation_dims(const Job& job, Dims dims);

/// The phase of an evaluation: a plain loop's, `with torch.no_grad(): outputs = model(**batch)`, or that of
/// transformers.Trainer (5.23, evaluation_loop), which keeps the losses of all batches and, where compute_metrics is
/// given, their logits and labels. The builder's sizes and structure must be those of the evaluation.
void trace_evaluation(Tape& tape, Batches& batches, Model& model, const Recipe& recipe);

}  // namespace peakmem
