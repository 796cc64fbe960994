// GRPO's training pass: completions that are there, scored once, and the loss of a micro-batch of them.
#pragma once

#include <vector>

#include "train/preference.h"

namespace peakmem {

/// A step's completions as GRPOTrainer of TRL 1.16 hands them to its micro-batches (_generate_and_score_completions,
/// then shuffled and split): what made them is not traced, but the policy's and the reference's log-probabilities of
/// all of them are, a micro-batch at a time without a graph. `steps_per_generation` is the number of micro-batches.
class Completions {
 public:
  Completions(const Builder& builder, const Recipe& recipe, Model& policy, ReferenceModel& reference);

  /// The batches of a step, parts of the same tensors; of those behind the first one stands for all.
  std::vector<Batch> make();
  /// The storages of the step's batches, each once.
  const std::vector<Tensor>& held() const { return held_; }

 private:
  Batch make_whole();
  void score(Batch& whole);
  Batch shuffled(const Batch& whole);
  Batch part(const Batch& whole) const;

  Builder builder_;
  const Recipe& recipe_;
  Model& policy_;
  ReferenceModel& reference_;
  Expr rows_;
  std::vector<Tensor> held_;
};

/// GRPOTrainer._compute_loss with its config's defaults (loss_type dapo). `parallel` may be null.
Tensor grpo_loss(Tape& tape, Model& policy, const Batch& batch, const Recipe& recipe, const DataParallel* parallel);

}  // namespace peakmem
