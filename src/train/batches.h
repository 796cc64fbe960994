// What the data loader hands over in a step, and how long the training loop holds it.
#pragma once

#include "model/heads.h"
#include "recipe/recipe.h"

namespace peakmem {

class Completions;

/// The batches of a step. A plain loop makes one at a time and lets it go after its backward pass; the loop of
/// transformers.Trainer (5.23, _inner_training_loop) makes all of a step at once and counts their labels, and lets them
/// go when those of the next step are there.
class Batches {
 public:
  Batches(const Builder& builder, const Recipe& recipe);

  /// The batch of a micro-batch, in its input phase. The second stands for all that follow, and a first one that comes
  /// again for the next step's.
  Batch take(int64_t micro);
  /// The input phase of the next step, where batches are held: the same again, and those of before go.
  void renew();
  /// Completions of before go, where the same phase made others.
  void let_go();
  bool are_completions() const { return completions_ != nullptr; }
  /// The next batch of an evaluation: the one before goes when this is there. Trainer.prediction_step of 5.23 counts
  /// its labels too, that of SFTTrainer does not.
  void take_evaluated(Batch& inputs);
  bool are_held() const { return held_; }
  /// The step's batches come from there: completions, which are made and scored in the first micro-batch's input phase.
  void come_from(Completions* completions) { completions_ = completions; }

 private:
  void make_all();
  void count_labels();

  Builder builder_;
  int64_t micro_batches_;
  int64_t ranks_;
  bool held_;
  bool counts_evaluated_;
  bool counts_;  // labels, which Trainer does from 4.46 on
  std::vector<Batch> of_step_;
  Tensor items_;  // how many labels there are
  Tensor logged_loss_;
  Completions* completions_ = nullptr;
};

}  // namespace peakmem
