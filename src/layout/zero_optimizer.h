// What DeepSpeed's optimizers of ZeRO 1 and 2 have in common: trained parameters lie in one flat tensor a group, and
// the optimizer updates an fp32 copy of this rank's part of it.
#pragma once

#include <memory>
#include <vector>

#include "layout/zero_layout.h"
#include "recipe/optimizer_step.h"
#include "recipe/recipe.h"

namespace peakmem {

/// The wrapper of an optimizer, of a model whose layers are all traced, in numbers.
class ZeroOptimizer : public Hooks {
 public:
  ZeroOptimizer(Tape& tape, const Recipe& recipe);
  ~ZeroOptimizer() override { tape_.hooks = nullptr; }
  ZeroOptimizer(const ZeroOptimizer&) = delete;
  ZeroOptimizer& operator=(const ZeroOptimizer&) = delete;

  /// Whether the next backward pass is the last one of the step.
  void synchronize(bool is_last) { is_last_ = is_last; }
  /// Whether engine.step() follows before the loop lets its names go: accelerate's engine calls it in the backward pass
  /// (1.15, utils/deepspeed.py).
  bool steps() const { return is_last_; }
  /// Whether engine.backward() multiplies the loss by a scale, be it 1.
  virtual bool scales_loss() const { return true; }
  /// What engine.backward() does behind autograd's.
  virtual void finish_backward() = 0;
  /// engine.step(), which makes the optimizer's state the first time and ends with no gradients.
  void step();

 protected:
  /// What is between the norm and the end of engine.step().
  virtual void update() = 0;
  void flatten(const ZeroGroup& group);
  void make_master(const ZeroGroup& group);
  /// What the optimizer trains for a group.
  void add_master(const ZeroGroup& group, const Tensor& weights);
  /// A gradient's norm, taken in float64.
  Tensor norm_of(int64_t elements) const;
  /// The optimizer's own step on a group's part.
  void run(size_t group);
  Tensor make(int64_t elements, DType dtype, const char* made_by, Category category,
              Stream stream = Stream::kMain) const;
  Tensor& gradient(const ZeroMember& member) { return gradient_of(tape_.parameters[member.parameter]); }
  static Tensor& gradient_of(const Parameter& parameter);

  Tape& tape_;
  const Recipe& recipe_;
  const Zero& zero_;
  std::vector<ZeroGroup> groups_;
  std::vector<Tensor> flat_;        // by group
  std::vector<Parameter> masters_;  // by group
  std::vector<OptimizerRun> optimizers_;
  bool is_last_ = true;

 private:
  Tensor norm_;  // of the last step's gradients
};

/// That of a model which has been built: its trained parameters look into flat tensors from now on.
std::unique_ptr<ZeroOptimizer> zero_optimizer(Tape& tape, const Recipe& recipe);

}  // namespace peakmem
