// torchtitan's Trainer on one rank (0.2.2, train.py): its stage of the model, FSDP2 around it and the optimizer.
#pragma once

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "layout/fully_shard.h"
#include "recipe/optimizer_step.h"
#include "torchtitan/clip.h"
#include "torchtitan/model.h"
#include "torchtitan/ring_attention.h"

namespace peakmem::titan {

/// The rank: what its process holds from the first line to the last.
class Trainer {
 public:
  Trainer(Tape& tape, const Job& job);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// train_step.
  void train_step(int32_t step);

  Tape& tape() const { return tape_; }
  const Job& job() const { return job_; }
  /// Of the rank's stages, each.
  const Chunk& chunk(size_t i = 0) const { return chunks_[i]; }
  size_t chunks() const { return chunks_.size(); }
  /// The units [first, second) of FSDP that a stage has.
  std::pair<int32_t, int32_t> units(size_t i) const { return {first_units_[i], first_units_[i + 1]}; }
  FullyShard* fsdp() { return fsdp_ ? &*fsdp_ : nullptr; }
  /// The model's forward pass.
  Tensor forward(size_t i, const Tensor& input) { return models_[i](input); }
  /// cross_entropy_loss(pred, labels), summed.
  Tensor loss_of(const Tensor& pred, const Tensor& labels) const;

 private:
  void count_tokens();
  RingInput make_batch();
  void zero_grad();
  void wrap();
  Tensor forward_backward(int32_t step, const Tensor& inputs, const Tensor& labels);
  Tensor divided(Tensor sum) const;
  bool is_partial(size_t i) const { return !fsdp_ && job_.degrees.tp > 1 && replicated_[i]; }
  /// The embedding's gradient, as long as nobody takes this rank's part of it.
  bool is_whole(size_t i) const { return !fsdp_ && job_.degrees.tp > 1 && i == 0 && chunks_[0].embeds; }
  GradientLayout layout() const;
  void update();

  Tape& tape_;
  const Job& job_;
  std::vector<Chunk> chunks_;
  std::vector<int32_t> first_units_;  // of each chunk, and one behind the last
  Recipe recipe_;
  std::vector<bool> replicated_;
  Builder builder_;
  std::optional<FullyShard> fsdp_;
  std::deque<Transformer> models_;
  std::optional<OptimizerRun> optimizer_;
  std::vector<Tensor> received_;  // a pipeline's: what each micro-batch is received in
  std::vector<Tensor> losses_;
  Tensor tokens_;
  Tensor targets_;
  Tensor pred_;
};

}  // namespace peakmem::titan
