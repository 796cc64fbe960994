#include "torchtitan/schedule.h"

#include <algorithm>
#include <utility>

#include "trace/engine.h"

namespace peakmem::titan {
namespace {

/// What a stage keeps of a micro-batch from its forward to its backward pass (fwd_cache), and the leaf that its graph
/// ends in.
struct Kept {
  Tensor output;
  Tensor input;
  std::vector<Tensor> leaves;
};

/// PipelineStage and the schedule that runs it, with the names that live in it.
class Stage {
 public:
  Stage(Trainer& trainer, const Tensor& inputs, const Tensor& targets, std::vector<Tensor>& received,
        std::vector<Tensor>& losses)
      : trainer_(trainer), inputs_(inputs), targets_(targets), received_(received), losses_(losses) {
    if (received.empty()) make_buffers();
    kept_.resize(static_cast<size_t>(job().training.microbatches));
  }

  void one_forward_one_backward();
  void all_forward_all_backward();

 private:
  Tape& tape() const { return trainer_.tape(); }
  const Job& job() const { return trainer_.job(); }
  int64_t count() const { return job().training.microbatches; }
  Shape hidden() const { return {job().rows(), job().training.seq / job().degrees.tp, job().model.dim}; }
  void make_buffers();
  Tensor chunk(const Tensor& batch) const;
  Tensor next_input(int64_t i) const;
  void forward(int64_t i);
  void backward(int64_t i);

  Trainer& trainer_;
  const Tensor& inputs_;
  const Tensor& targets_;
  std::vector<Tensor>& received_;
  std::vector<Tensor>& losses_;
  std::vector<Kept> kept_;
  Tensor output_;         // as the schedule names it
  Tensor sent_backward_;  // the gradient that the stage before gets
};

/// For every micro-batch what the stage before sends and the gradient that the one behind does.
void Stage::make_buffers() {
  const Category outer = std::exchange(tape().category, Category::kBuffers);
  const int64_t each = (trainer_.chunk().embeds ? 0 : 1) + (trainer_.chunk().heads ? 0 : 1);
  for (int64_t i = 0; i < each * count(); ++i)
    received_.push_back(tape().make(hidden(), job().compute_dtype(), "empty_strided"));
  tape().category = outer;
}

/// A micro-batch of what was split.
Tensor Stage::chunk(const Tensor& batch) const {
  return tape().look(batch, Shape{job().rows(), job().training.seq}, true);
}

Tensor Stage::next_input(int64_t i) const {
  if (trainer_.chunk().embeds) return chunk(inputs_);
  Tensor input = tape().look(received_[static_cast<size_t>(i)], hidden(), false);
  tape().require_grad(input);
  return input;
}

// forward_one_chunk, and _maybe_compute_loss.
void Stage::forward(int64_t i) {
  Kept& kept = kept_[static_cast<size_t>(i)];
  kept.input = next_input(i);
  kept.output = trainer_.forward(kept.input);
  kept.leaves = tape().take_leaves();
  output_ = kept.output;
  if (trainer_.chunk().heads) losses_.push_back(trainer_.loss_of(output_, chunk(targets_)));
}

// backward_one_chunk.
void Stage::backward(int64_t i) {
  Kept kept = std::move(kept_[static_cast<size_t>(i)]);
  if (trainer_.chunk().heads) {
    Tensor& loss = losses_[static_cast<size_t>(i)];
    run_backward(tape(), loss);
    loss = detach(loss);
  } else {
    const size_t behind = trainer_.chunk().embeds ? 0 : static_cast<size_t>(count());
    run_backward(tape(), kept.output, received_[behind + static_cast<size_t>(i)]);
  }
  if (!trainer_.chunk().embeds) sent_backward_ = std::exchange(kept.input->node->gradient, Tensor());
}

void Stage::one_forward_one_backward() {
  const int64_t warmup = std::min(count(), job().degrees.pp - job().stage());
  int64_t forwards = 0;
  int64_t backwards = 0;
  while (forwards < warmup) forward(forwards++);
  while (true) {
    backward(backwards++);
    if (forwards == count()) break;
    forward(forwards++);
  }
  while (backwards < count()) backward(backwards++);
}

// What was sent goes before the next backward pass, since one name is for what is sent and what is received.
void Stage::all_forward_all_backward() {
  for (int64_t i = 0; i < count(); ++i) forward(i);
  for (int64_t i = 0; i < count(); ++i) {
    sent_backward_.reset();
    backward(i);
  }
}

}  // namespace

void run_schedule(Trainer& trainer, const Tensor& inputs, const Tensor& targets, std::vector<Tensor>& received,
                  std::vector<Tensor>& losses) {
  Stage stage(trainer, inputs, targets, received, losses);
  if (trainer.job().training.schedule == Schedule::kGPipe)
    stage.all_forward_all_backward();
  else
    stage.one_forward_one_backward();
  if (trainer.fsdp() != nullptr) trainer.fsdp()->reduce_all();
}

}  // namespace peakmem::titan
