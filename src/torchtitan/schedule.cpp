#include "torchtitan/schedule.h"

#include <algorithm>
#include <deque>
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

/// PipelineStage of one of the rank's stages.
class Stage {
 public:
  Stage(Trainer& trainer, size_t index, const Tensor& inputs, std::vector<Tensor>& losses)
      : trainer_(trainer), index_(index), inputs_(inputs), losses_(losses) {
    kept_.resize(static_cast<size_t>(job().training.microbatches));
  }

  void make_buffers(std::vector<Tensor>& received) const;
  /// The stage's buffers are those from here on.
  void receive_in(const Tensor* received) { received_ = received; }
  size_t buffers() const { return kept_.size() * ((is_first() ? 0U : 1U) + (is_last() ? 0U : 1U)); }
  /// forward_one_chunk; what it gives is the next stage's.
  Tensor forward(size_t i);
  /// backward_one_chunk; the gradient of what was received.
  Tensor backward(size_t i);
  void unshard();
  void wait_unsharded();
  /// perform_reduce_grad.
  void reduce();

 private:
  Tape& tape() const { return trainer_.tape(); }
  const Job& job() const { return trainer_.job(); }
  bool is_first() const { return trainer_.chunk(index_).embeds; }
  bool is_last() const { return trainer_.chunk(index_).heads; }
  Shape hidden() const { return {job().rows(), job().training.seq / job().degrees.tp, job().model.dim}; }
  Tensor part(const Tensor& batch) const;
  Tensor next_input(size_t i) const;

  Trainer& trainer_;
  size_t index_;
  const Tensor& inputs_;
  std::vector<Tensor>& losses_;
  const Tensor* received_ = nullptr;
  std::vector<Kept> kept_;
  bool is_whole_ = true;  // nobody has to wait for its parameters
};

/// For every micro-batch what the stage before sends and the gradient that the one behind does.
void Stage::make_buffers(std::vector<Tensor>& received) const {
  const Category outer = std::exchange(tape().category, Category::kBuffers);
  for (size_t i = 0; i < buffers(); ++i)
    received.push_back(tape().make(hidden(), job().compute_dtype(), "empty_strided"));
  tape().category = outer;
}

/// A micro-batch of what was split.
Tensor Stage::part(const Tensor& batch) const {
  return tape().look(batch, Shape{job().rows(), job().training.seq}, true);
}

Tensor Stage::next_input(size_t i) const {
  if (is_first()) return part(inputs_);
  Tensor input = tape().look(received_[i], hidden(), false);
  tape().require_grad(input);
  return input;
}

Tensor Stage::forward(size_t i) {
  wait_unsharded();
  kept_[i].input = next_input(i);
  kept_[i].output = trainer_.forward(index_, kept_[i].input);
  kept_[i].leaves = tape().take_leaves();
  return kept_[i].output;
}

Tensor Stage::backward(size_t i) {
  Kept kept = std::move(kept_[i]);
  if (is_last()) {
    run_backward(tape(), losses_[i]);
    losses_[i] = detach(losses_[i]);
  } else {
    run_backward(tape(), kept.output, received_[(is_first() ? 0 : kept_.size()) + i]);
  }
  return is_first() ? Tensor() : std::exchange(kept.input->node->gradient, Tensor());
}

void Stage::unshard() {
  if (trainer_.fsdp() == nullptr) return;
  is_whole_ = false;
  const auto [first, last] = trainer_.units(index_);
  trainer_.fsdp()->unshard(first, last);
}

void Stage::wait_unsharded() {
  if (std::exchange(is_whole_, true)) return;
  const auto [first, last] = trainer_.units(index_);
  trainer_.fsdp()->wait_unsharded(first, last);
}

void Stage::reduce() {
  if (trainer_.fsdp() == nullptr) return;
  const auto [first, last] = trainer_.units(index_);
  trainer_.fsdp()->reduce_all(first, last);
}

/// A schedule over the rank's stages.
class Schedules {
 public:
  Schedules(Trainer& trainer, const Tensor& inputs, const Tensor& targets, std::vector<Tensor>& received,
            std::vector<Tensor>& losses)
      : trainer_(trainer), targets_(targets), losses_(losses) {
    for (size_t i = 0; i < trainer.chunks(); ++i) stages_.emplace_back(trainer, i, inputs, losses);
    if (received.empty())
      for (const Stage& stage : stages_) stage.make_buffers(received);
    size_t next = 0;
    for (Stage& stage : stages_) {
      stage.receive_in(received.data() + next);
      next += stage.buffers();
    }
  }

  void one_forward_one_backward();
  void all_forward_all_backward();
  void interleaved();

 private:
  const Job& job() const { return trainer_.job(); }
  size_t count() const { return static_cast<size_t>(job().training.microbatches); }
  Tensor forward(size_t stage, size_t i);

  Trainer& trainer_;
  const Tensor& targets_;
  std::vector<Tensor>& losses_;
  std::deque<Stage> stages_;
};

Tensor Schedules::forward(size_t stage, size_t i) {
  Tensor output = stages_[stage].forward(i);
  if (trainer_.chunk(stage).heads) {
    const Tensor labels = trainer_.tape().look(targets_, Shape{job().rows(), job().training.seq}, true);
    losses_.push_back(trainer_.loss_of(output, labels));
  }
  return output;
}

// `output` and what goes back are named until the next ones are there.
void Schedules::one_forward_one_backward() {
  const size_t warmup = std::min(count(), static_cast<size_t>(job().degrees.pp - job().stage()));
  Tensor output;
  Tensor sent;
  size_t forwards = 0;
  size_t backwards = 0;
  const auto forward_next = [&] {
    Tensor made = stages_[0].forward(forwards);
    output = std::move(made);
    if (trainer_.chunk().heads) {
      const Tensor labels = trainer_.tape().look(targets_, Shape{job().rows(), job().training.seq}, true);
      losses_.push_back(trainer_.loss_of(output, labels));
    }
    ++forwards;
  };
  while (forwards < warmup) forward_next();
  while (true) {
    Tensor gradient = stages_[0].backward(backwards++);
    sent = std::move(gradient);
    if (forwards == count()) break;
    forward_next();
  }
  while (backwards < count()) {
    Tensor gradient = stages_[0].backward(backwards++);
    sent = std::move(gradient);
  }
  stages_[0].reduce();
}

// What was sent goes before the next backward pass, since one name is for what is sent and what is received.
void Schedules::all_forward_all_backward() {
  Tensor output;
  for (size_t i = 0; i < count(); ++i) output = forward(0, i);
  Tensor sent;
  for (size_t i = 0; i < count(); ++i) {
    sent.reset();
    sent = stages_[0].backward(i);
  }
  stages_[0].reduce();
}

// ScheduleInterleaved1F1B: rounds of micro-batches go through the first stage, then through the second.
void Schedules::interleaved() {
  for (Stage& stage : stages_) stage.unshard();
  const auto ranks = static_cast<size_t>(job().degrees.pp);
  const size_t local = stages_.size();
  const size_t rounds = std::max<size_t>(1, count() / ranks);
  const size_t each = count() / rounds;
  const size_t all = local * count();
  const size_t behind = ranks - 1 - static_cast<size_t>(job().stage());
  const size_t warmup = std::min(all, (local - 1) * each + 2 * behind);
  std::vector<size_t> forwards(local);
  std::vector<size_t> backwards(local);
  for (size_t op = 0; op < all + warmup; ++op) {
    if (op < all) {
      const size_t stage = op / each % local;
      forward(stage, forwards[stage]++);
    }
    if (op < warmup) continue;
    const size_t stage = local - 1 - (op - warmup) / each % local;
    stages_[stage].backward(backwards[stage]++);
    if (backwards[stage] == count()) stages_[stage].reduce();
  }
}

}  // namespace

void run_schedule(Trainer& trainer, const Tensor& inputs, const Tensor& targets, std::vector<Tensor>& received,
                  std::vector<Tensor>& losses) {
  Schedules schedules(trainer, inputs, targets, received, losses);
  switch (trainer.job().training.schedule) {
    case Schedule::k1F1B:
      return schedules.one_forward_one_backward();
    case Schedule::kGPipe:
      return schedules.all_forward_all_backward();
    case Schedule::kInterleaved1F1B:
      return schedules.interleaved();
  }
}

}  // namespace peakmem::titan
