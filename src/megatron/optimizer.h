// Megatron-Core's DistributedDataParallel and optimizers (0.16.1, distributed/, optimizer/): buffers of gradients, main
// parameters in fp32, Adam's states.
#pragma once

#include <unordered_set>
#include <vector>

#include "megatron/buffers.h"

namespace peakmem::mcore {

/// DistributedDataParallel's buffers of a chunk of the model.
class GradientBuffers {
 public:
  /// Of parameters [first, last) of the tape; `buckets`: whether this chunk's are cut into buckets at all.
  GradientBuffers(const Builder& b, size_t first, size_t last, bool buckets);
  std::vector<Buffer>& dense() { return dense_; }
  std::vector<Buffer>& experts() { return experts_; }

 private:
  void allocate(const Builder& b, const std::vector<size_t>& which, int64_t ranks, bool buckets,
                std::vector<Buffer>& buffers);
  std::vector<Buffer> dense_;
  std::vector<Buffer> experts_;
};

/// A parameter's gradient goes into its buffer as soon as it is there (main_grad.add_), and is gone; those of what is
/// passed between stages, or kept by a checkpoint, stay.
class GradientHooks : public Hooks {
 public:
  explicit GradientHooks(Tape& tape) : tape_(tape) { tape.hooks = this; }
  ~GradientHooks() override { tape_.hooks = nullptr; }
  GradientHooks(const GradientHooks&) = delete;
  GradientHooks& operator=(const GradientHooks&) = delete;
  /// Whose gradients go into buffers.
  void add(const Node* leaf) { parameters_.insert(leaf); }
  void accumulated(Node& leaf) override;

 private:
  Tape& tape_;
  std::unordered_set<const Node*> parameters_;
};

/// Float16OptimizerWithFloat16Params, DistributedOptimizer or FP32Optimizer over torch.optim.AdamW or a fused Adam: for
/// the dense parameters, or the experts'.
class Optimizer {
 public:
  Optimizer(const Builder& b, const std::vector<Buffer*>& buffers, int64_t rank);
  bool has_parameters() const { return !parameters_.empty(); }
  /// Copies gradients to main parameters, where these are of another dtype.
  void prepare();
  /// Norms of this optimizer's gradients, if nobody has kernels for it.
  void make_norms(std::vector<Tensor>& norms) const;
  void clip() const;
  /// count_zeros_fp32 (clip_grads.py).
  void count_zeros() const;
  void step();
  void zero_grad() { gradients_.clear(); }
  /// What the loss is scaled by.
  const Tensor& scale() const { return scalars_.front(); }

 private:
  /// What Adam updates: a main parameter, or a part of one, and its states.
  struct Updated {
    size_t parameter;
    int64_t elements;
    bool decays;
    Tensor main, step, mean, square;
  };
  void make_main(Updated& updated);
  void make_states(Updated& updated);
  void update(const std::vector<Updated*>& group);
  const Parameter& of_tape(const Updated& updated) const { return b_.tape.parameters[updated.parameter]; }

  const Builder& b_;
  bool has_main_ = false;
  std::vector<Updated> parameters_;  // those that decay first
  std::vector<Tensor> gradients_;
  std::vector<Tensor> scalars_;
};

}  // namespace peakmem::mcore
