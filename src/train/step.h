// The script of one training step, as a plain PyTorch loop runs it.
#pragma once

#include "model/family.h"
#include "train/optimizers.h"

namespace peakmem {

/// A model and how it is trained.
struct Job {
  Description description;
  Recipe recipe;
};

/// In how many pieces a job's loss would be traced.
LossPieces loss_pieces(const Job& job);

/// The job's sizes as numbers.
Dims number_dims(const Job& job);
/// The job's sizes as symbols of `pool`, with the value of each; a size of 1 stays a number, for PyTorch takes other
/// paths for it. Values are in the order Pool::evaluate takes.
Dims symbol_dims(const Job& job, Pool& pool, std::vector<int64_t>& values);

/// Trace two steps of
///
///     for micro in range(accumulate):
///         loss = model(**batch).loss ; loss.backward()
///     clip_grad_norm_(parameters) ; optimizer.step() ; optimizer.zero_grad(set_to_none=True)
///
/// Phases are "model" (step 0), then "input", "forward", "backward", "clip", "optimizer" of step 1 and of step 2, which
/// is the steady step: its optimizer finds its state made.
///
/// `unrolled` traces every layer (and every micro-batch) for itself, to check what repeats stand for.
Program trace_step(const Job& job, const Dims& dims, bool unrolled = false);

/// The model as it is built, nothing run.
Program built(const Job& job, bool unrolled = false);

/// How many of the trained parameters the recipe's optimizer takes, and how many it leaves to another one.
struct Division {
  int64_t taken = 0;
  int64_t left = 0;
};
Division division(const Job& job);

/// Names of the modules that LoRA could adapt in this model, each once, in order.
std::vector<std::string> linear_modules(const Job& job);
/// Names of the modules outside of the layers that PEFT could train a copy of, each once, in order: those that end the
/// name of no module within the layers, nor of one within themselves.
std::vector<std::string> modules_to_save(const Job& job);
/// Whether the recipe's quantization finds layers in this model.
bool quantizes_linear_layers(const Job& job);

}  // namespace peakmem
