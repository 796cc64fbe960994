#include "train/model_call.h"

#include "train/trainers.h"

namespace peakmem {
namespace {

/// convert_to_fp32 of accelerate: what is there already stays, and the rest until all is converted.
ModelOutput in_fp32(const ModelOutput& output) {
  ModelOutput converted = output;
  for (Tensor* tensor : {&converted.logits, &converted.more_logits, &converted.encoder_hidden_states})
    if (*tensor) *tensor = to(*tensor, DType::kFloat32);
  if (output.lists_others)
    for (Tensor& other : converted.others) other = to(other, DType::kFloat32);
  return converted;
}

}  // namespace

ModelOutput whole_model(Tape& tape, Model& model, const Batch& batch, const Recipe& recipe) {
  tape.autocast.enabled = recipe.autocast.has_value();
  tape.autocast.dtype = product_dtype(recipe);
  const auto run = [&] {
    const Unit unit(tape, 0);
    return model.forward(batch);
  };
  ModelOutput output = run();
  tape.autocast.enabled = false;
  if (!recipe.trainer->is_transformers_loop) return output;
  tape.autocast.cache.clear();
  return recipe.autocast ? in_fp32(output) : output;
}

Tensor loss_of(Tape& tape, const ModelOutput& outputs, const Batch& batch, const Recipe& recipe) {
  if (!outputs.loss && recipe.kernels.loss != LossKernel::kPlain) return mean_all(outputs.logits);
  if (recipe.kernels.loss != LossKernel::kPlain) return outputs.loss;
  tape.autocast.enabled = recipe.autocast.has_value();
  Tensor loss = token_loss(outputs.logits, batch.labels);
  tape.autocast.enabled = false;
  return loss;
}

}  // namespace peakmem
