#include "torchtitan/step.h"

#include <optional>

#include "torchtitan/clip.h"
#include "torchtitan/dtensor.h"
#include "torchtitan/model.h"
#include "trace/engine.h"
#include "train/fully_shard.h"
#include "train/optimizer_step.h"

namespace peakmem::titan {
namespace {

/// What FSDP2 is told.
Recipe recipe_of(const Job& job) {
  Recipe recipe;
  const Training& t = job.training;
  recipe.batch = t.batch;
  recipe.seq = t.seq;
  recipe.weights = t.dtype;
  recipe.sharding = {.shards = job.degrees.shards(),
                     .replicas = job.degrees.dp_replicate,
                     .hybrid = job.degrees.dp_replicate > 1,
                     .casts_parameters = true,
                     .casts_gradients = true,
                     .param_dtype = t.param_dtype,
                     .reduce_dtype = t.reduce_dtype,
                     .reshard_after_forward = t.reshard.value_or(true)};
  return recipe;
}

/// The loop of train.py around one model.
class Trainer {
 public:
  Trainer(Tape& tape, const Job& job) : tape_(tape), job_(job), recipe_(recipe_of(job)), builder_{tape, job, replicated_} {
    tape.processor.compute_capability = job.training.cudnn ? 90 : 80;
    if (job.degrees.has_fsdp()) fsdp_.emplace(tape, recipe_);
    model_.emplace(builder_);
    if (fsdp_) {
      fsdp_->shard();
      if (job.degrees.tp > 1)
        for (size_t i = 0; i < replicated_.size(); ++i)
          if (replicated_[i]) fsdp_->sum_gradient(tape.parameters[i]);
      if (!job.training.reshard.value_or(false)) fsdp_->keep_whole(tape.outer.units[static_cast<size_t>(Outer::kHead)]);
    }
    model_->init_weights();
    optimizer_.emplace(tape, *find_optimizer("adamw"), OptimizerImpl::kFused, std::vector<Kept>());
  }

  void train_step(int32_t step) {
    tape_.begin_phase(step, -1, "input");
    zero_grad();
    count_tokens();
    Tensor inputs = to_device();
    Tensor labels = to_device();
    tape_.begin_phase(step, -1, "forward");
    Tensor loss = forward(inputs, labels);
    tape_.begin_phase(step, -1, "backward");
    run_backward(tape_, loss);
    loss_ = detach(loss);
    loss.reset();
    inputs.reset();
    labels.reset();
    tape_.begin_phase(step, -1, "clip");
    const Tensor norm = clip_grad_norm(tape_, layout());
    tape_.begin_phase(step, -1, "optimizer");
    update();
    loss_.reset();
  }

 private:
  /// global_valid_tokens: a number where there are data-parallel ranks to ask, else a tensor.
  void count_tokens() {
    const Category outer = std::exchange(tape_.category, Category::kInputs);
    Tensor own = tape_.make(Shape{}, DType::kInt64, "_to_copy");
    if (job_.degrees.dp_replicate * job_.degrees.dp_shard > 1) {
      const Tensor sent = tape_.make(Shape{}, DType::kInt64, "all_reduce");
      own = tape_.make(Shape{}, DType::kInt64, "wait_tensor");
    } else {
      tokens_ = tape_.make(Shape{}, DType::kFloat32, "_to_copy");
    }
    tape_.category = outer;
  }

  bool is_partial(size_t i) const { return !fsdp_ && job_.degrees.tp > 1 && replicated_[i]; }
  /// The embedding's gradient is whole where nothing cuts it.
  bool is_whole(size_t i) const { return !fsdp_ && job_.degrees.tp > 1 && i == 0; }

  GradientLayout layout() const {
    GradientLayout layout;
    layout.reductions = (fsdp_ ? 1 : 0) + (job_.degrees.tp > 1 ? 1 : 0);
    for (size_t i = 0; i < replicated_.size(); ++i) {
      layout.replicated.push_back(job_.degrees.tp > 1 && (replicated_[i] || is_whole(i)));
      layout.partial.push_back(is_partial(i));
    }
    return layout;
  }

  /// Adam in one kernel, to which gradients go as their parameters lie: parts of what is whole, sums of what is partial.
  void update() {
    std::vector<Tensor> gradients;
    optimizer_->step();
    for (size_t i = 0; i < tape_.parameters.size(); ++i) {
      const Parameter& parameter = tape_.parameters[i];
      const auto make = [&](const char* op) {
        return tape_.make(contiguous(parameter.value.shape()), parameter.value.dtype(), op);
      };
      if (is_whole(i)) gradients.push_back(make("clone"));
      if (!is_partial(i)) continue;
      const Tensor sent = make("all_reduce");
      gradients.push_back(make("wait_tensor"));
    }
  }

  Tensor to_device() {
    const Category outer = std::exchange(tape_.category, Category::kInputs);
    Tensor made = tape_.make({job_.training.batch, job_.training.seq}, DType::kInt64, "_to_copy");
    tape_.category = outer;
    return made;
  }

  void zero_grad() {
    for (const Parameter& parameter : tape_.parameters) gradient_of(parameter).reset();
  }

  /// cross_entropy_loss(pred, labels) / global_valid_tokens
  Tensor forward(const Tensor& inputs, const Tensor& labels) {
    Tensor pred = (*model_)(inputs);
    const Scope scope(tape_, "loss");
    if (job_.training.keeps_logits) {
      pred_ = std::move(pred);
      pred_ = to(std::move(pred_), DType::kFloat32);
      pred = pred_;
    }
    Tensor summed;
    {
      const Tensor logits = to(merge_dims(pred, 0, 2), DType::kFloat32);
      const Tensor targets = merge_dims(labels, 0, 2);
      const bool in_parts = job_.degrees.tp > 1 && job_.training.loss_parallel;
      summed = in_parts ? parallel_cross_entropy(logits, targets) : cross_entropy(logits, targets);
    }
    return div_scalar(std::move(summed));
  }

  Tape& tape_;
  const Job& job_;
  Recipe recipe_;
  std::vector<bool> replicated_;
  Builder builder_;
  std::optional<FullyShard> fsdp_;
  std::optional<Transformer> model_;
  std::optional<OptimizerRun> optimizer_;
  Tensor tokens_;
  Tensor loss_;
  Tensor pred_;
};

}  // namespace

Program trace_rank(const Job& job) {
  Tape tape;
  tape.begin_phase(0, -1, "model");
  Trainer trainer(tape, job);
  for (const int32_t step : {1, 2}) trainer.train_step(step);
  return tape.finish();
}

}  // namespace peakmem::titan
