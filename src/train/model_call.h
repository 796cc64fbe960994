// A loop's call of the model, in training and in evaluation.
#pragma once

#include "model/model.h"
#include "recipe/recipe.h"

namespace peakmem {

/// A batch as the model sees it: FSDP2 casts what is a floating-point number, which is how many labels there are.
Batch given_to_model(const Batch& batch, const Recipe& recipe);

/// model(**batch). As accelerate wraps it for transformers.Trainer autocast ends with it, and in mixed precision what
/// it returns is made fp32 (convert_to_fp32); over shards it is what FSDP2's output_dtype says.
ModelOutput whole_model(Tape& tape, Model& model, const Batch& batch, const Recipe& recipe);

/// The loss: the model's own; torch.nn.functional.cross_entropy over all tokens, of labels that the loader shifted; or
/// of a bare model the mean of its last hidden states.
Tensor loss_of(Tape& tape, const ModelOutput& outputs, const Batch& batch, const Recipe& recipe);

}  // namespace peakmem
