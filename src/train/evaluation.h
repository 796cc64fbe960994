// The evaluation that follows a step: a forward pass without gradients.
#pragma once

#include "train/job.h"

namespace peakmem {

/// The job with the evaluation's batch in place of the training's; the same job where nothing is evaluated.
Job evaluation_of(const Job& job);
/// The sizes of the evaluation, those of training being `dims`; its batch is a number.
Dims evaluation_dims(const Job& job, Dims dims);

/// What is evaluated in eval mode; ends with the C++ scope.
class EvalMode {
 public:
  explicit EvalMode(Tape& tape) : tape_(tape) { tape_.training = false; }
  ~EvalMode() { tape_.training = true; }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  Tape& tape_;
  NoGrad no_grad_{tape_};
};

}  // namespace peakmem
