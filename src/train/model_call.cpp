#include "train/model_call.h"

#include "recipe/trainers.h"

namespace peakmem {
namespace {

/// What there is of an output in that dtype already stays, and the rest until all is converted; what is no
/// floating-point number is left alone.
ModelOutput in_dtype(const ModelOutput& output, DType dtype) {
  ModelOutput converted = output;
  for (Tensor* tensor : {&converted.loss, &converted.logits, &converted.more_logits, &converted.encoder_hidden_states})
    if (*tensor) *tensor = to(*tensor, dtype);
  if (output.lists_others)
    for (Tensor& other : converted.others)
      if (other.dtype() != DType::kBool) other = to(other, dtype);
  return converted;
}

}  // namespace

Batch given_to_model(const Batch& batch, const Recipe& recipe) {
  Batch given = batch;
  if (recipe.sharding.casts_parameters && batch.items) given.items = to(batch.items, recipe.sharding.param_dtype);
  return given;
}

ModelOutput whole_model(Tape& tape, Model& model, const Batch& batch, const Recipe& recipe) {
  tape.autocast.enabled = recipe.autocast.has_value();
  tape.autocast.dtype = product_dtype(recipe);
  const Sharding& sharding = recipe.sharding;
  const auto run = [&] {
    const Unit unit(tape, 0);
    return model.forward(batch);
  };
  ModelOutput output = run();
  tape.autocast.enabled = false;
  if (!recipe.trainer->is_transformers_loop) return output;
  tape.autocast.cache.clear();
  if (sharding.by_accelerate && sharding.casts_parameters && !sharding.flat.runs)
    return in_dtype(output, sharding.param_dtype);
  return recipe.autocast ? in_dtype(output, DType::kFloat32) : output;
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
