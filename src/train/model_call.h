// A loop's call of the model, in training and in evaluation.
#pragma once

#include "model/model.h"
#include "train/recipe.h"

namespace peakmem {

/// model(**batch). As accelerate wraps it for transformers.Trainer autocast ends with it, and in mixed precision what
/// it returns is made fp32.
ModelOutput whole_model(Tape& tape, Model& model, const Batch& batch, const Recipe& recipe);

/// The loss: the model's own; torch.nn.functional.cross_entropy over all tokens, of labels that the loader shifted; or
/// of a bare model the mean of its last hidden states.
Tensor loss_of(Tape& tape, const ModelOutput& outputs, const Batch& batch, const Recipe& recipe);

}  // namespace peakmem
