// The evaluation that follows a step: forward passes without gradients.
#pragma once

#include "model/model.h"
#include "recipe/recipe.h"
#include "train/batches.h"

namespace peakmem {

/// The phase of an evaluation: a plain loop's, `with torch.no_grad(): outputs = model(**batch)`, or that of
/// transformers.Trainer (5.23, evaluation_loop), which keeps the losses of all batches and, where compute_metrics is
/// given, their logits and labels. The builder's sizes and structure must be those of the evaluation.
void trace_evaluation(Tape& tape, Batches& batches, Model& model, const Recipe& recipe);

}  // namespace peakmem
