#include "train/evaluation.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "recipe/trainers.h"
#include "train/model_call.h"

namespace peakmem {
namespace {

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

/// An evaluation on a tape, batch by batch.
class Evaluation {
 public:
  Evaluation(Tape& tape, Batches& batches, Model& model, const Recipe& recipe)
      : tape_(tape), batches_(batches), model_(model), recipe_(recipe) {}

  /// A loop names what the model returns, until it returns again: from the second batch on all are alike.
  void infer() {
    const bool is_plain = recipe_.kernels.loss == LossKernel::kPlain;
    ModelOutput outputs;
    Tensor loss;
    for (int64_t i = 0; i < std::min<int64_t>(recipe_.eval_batches, 2); ++i) {
      take_batch();
      ModelOutput returned = whole_model(tape_, model_, inputs_, recipe_);
      if (is_plain) returned.others.clear();  // model(input_ids).logits
      Tensor returned_loss = is_plain ? loss_of(tape_, returned, inputs_, recipe_) : returned.loss;
      tape_.autocast.cache.clear();
      outputs = std::move(returned);
      loss = std::move(returned_loss);
    }
  }

  /// Trainer.evaluation_loop: the last batch finds what the others left, joined as EvalLoopContainer does it.
  void predict() {
    Results latest = prediction_step();
    if (recipe_.eval_batches == 1) return;
    Results kept;
    for (size_t i = 0; i < kept.size(); ++i) kept[i] = joined(latest[i], recipe_.eval_batches - 1);
    latest = prediction_step();
    for (size_t i = 0; i < kept.size(); ++i) kept[i] = joined(latest[i], recipe_.eval_batches);
  }

 private:
  /// Losses; for compute_metrics logits and labels too, each as a tuple. There is a container for each of the three.
  using Results = std::array<std::vector<Tensor>, 3>;

  void take_batch() {
    tape_.category = Category::kInputs;
    batches_.take_evaluated(inputs_);
    tape_.category = Category::kActivations;
  }

  Results prediction_step() {
    take_batch();
    const ModelOutput outputs = whole_model(tape_, model_, inputs_, recipe_);
    const Tensor mean = tape_.make({}, outputs.loss.dtype(), "mean");
    Results results = {{{tape_.make({recipe_.eval_batch}, outputs.loss.dtype(), "repeat")}}};
    inputs_.items.reset();  // of the step's frame
    if (!recipe_.eval_logits) return results;
    results[1] = {outputs.logits, outputs.more_logits, outputs.encoder_hidden_states};
    results[2] = {inputs_.labels, inputs_.more_labels};
    return results;
  }

  /// So many batches' results as one tensor each; the first batch's are taken as they are.
  std::vector<Tensor> joined(const std::vector<Tensor>& results, int64_t batches) {
    if (batches == 1) return results;
    const Scope scope(tape_, "predictions");
    std::vector<Tensor> all;
    for (const Tensor& one : results) {
      if (!one) continue;
      Shape sizes = contiguous(one.shape());
      sizes.size[0] = sizes.size[0] * Expr(batches);
      all.push_back(tape_.make(contiguous(sizes), one.dtype(), "cat"));
    }
    return all;
  }

  Tape& tape_;
  Batches& batches_;
  Model& model_;
  const Recipe& recipe_;
  Batch inputs_;
};

}  // namespace

void trace_evaluation(Tape& tape, Batches& batches, Model& model, const Recipe& recipe) {
  tape.begin_phase(2, -1, "evaluate");
  const EvalMode mode(tape);
  Evaluation evaluation(tape, batches, model, recipe);
  if (recipe.trainer->is_transformers_loop)
    evaluation.predict();
  else
    evaluation.infer();
}

}  // namespace peakmem
