// The training loops that are known: a row each, saying what of a step outlives a plain loop's, and what becomes of a
// quantized model before it is trained.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "model/description.h"

namespace peakmem {

/// What a loop's names hold until they are bound again, in the next step: nothing (the step is a function), the batch
/// and the loss (`loss = model(**batch).loss`), or the outputs too (`outputs = model(**batch)`).
enum class LoopNames : uint8_t { kNothing, kLoss, kOutputs };

/// A training loop. `name` is what --trainer takes.
struct Trainer {
  std::string_view name;
  std::string_view title;
  std::string_view source;
  /// The inner loop of transformers.Trainer: a step's batches, with attention masks, stay from their loading until
  /// those of the next step are there; the loss is divided by the number of labels; accelerate makes the outputs of
  /// mixed precision fp32.
  bool is_transformers_loop = false;
  Upcast upcast = Upcast::kAll;                     // what of a quantized model's other weights becomes fp32
  bool half_adapters = false;                       // adapters beside quantized weights are in bf16
  Transformers transformers = Transformers::kV523;  // whose modelling code it runs
  bool runs_no_other = false;                       // on no other version of it
  std::optional<LossKernel> loss = std::nullopt;    // the one it computes whatever the model has
  bool counts_evaluated = true;                     // the labels of an evaluation's batch too, from 5.23 on
  bool builds_on_device = false;                    // a model that is not loaded, unless --init says otherwise
  LoopNames names = LoopNames::kNothing;            // that outlive the step, unless --keep-outputs says otherwise
};

std::span<const Trainer> trainers();
const Trainer* find_trainer(std::string_view name);

}  // namespace peakmem
