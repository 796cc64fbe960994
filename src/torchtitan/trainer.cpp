#include "torchtitan/trainer.h"

#include <utility>

#include "torchtitan/dtensor.h"
#include "torchtitan/schedule.h"
#include "trace/engine.h"

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
                     .reshard_after_forward = t.reshard.value_or(job.degrees.pp == 1)};
  return recipe;
}

}  // namespace

Trainer::Trainer(Tape& tape, const Job& job)
    : tape_(tape), job_(job), recipe_(recipe_of(job)), builder_{tape, job, replicated_} {
  tape.processor.compute_capability = job.training.cudnn ? 90 : 80;
  if (job.degrees.has_fsdp()) fsdp_.emplace(tape, recipe_);
  for (int64_t i = 0; i < job.stages_each(); ++i) {
    chunks_.push_back(chunk_of(job, job.stage() + i * job.degrees.pp));
    first_units_.push_back(tape.units());
    models_.emplace_back(builder_, chunks_.back());
  }
  first_units_.push_back(tape.units());
  if (fsdp_) wrap();
  for (Transformer& model : models_) model.init_weights();
  optimizer_.emplace(tape, *find_optimizer("adamw"), OptimizerImpl::kFused, std::vector<Kept>());
}

// apply_fsdp: what is behind the layers is not resharded after its forward pass, which its backward pass follows.
void Trainer::wrap() {
  fsdp_->shard();
  if (chunks_.back().heads && !job_.training.reshard.value_or(false))
    fsdp_->keep_whole(tape_.outer.units[static_cast<size_t>(Outer::kHead)]);
  if (job_.degrees.pp > 1) {
    fsdp_->synchronize(false);
    fsdp_->reshard_after_backward(false);
  }
  if (job_.degrees.tp == 1) return;
  for (size_t i = 0; i < replicated_.size(); ++i) {
    const bool is_embedding = i == 0 && chunks_[0].embeds;
    fsdp_->redistribute(tape_.parameters[i], {.sums = replicated_[i], .parts = is_embedding ? job_.degrees.tp : 1});
  }
}

// global_valid_tokens: a number where there are data-parallel ranks to ask, else a tensor.
void Trainer::count_tokens() {
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

RingInput Trainer::make_batch() {
  const Category outer = std::exchange(tape_.category, Category::kInputs);
  const Training& t = job_.training;
  RingInput made;
  if (job_.degrees.cp > 1) {
    made = ring_input(tape_, t.batch, t.seq, {job_.degrees.cp, job_.context()});
  } else {
    made.tokens = tape_.make({t.batch, t.seq}, DType::kInt64, "_to_copy");
    made.labels = tape_.make({t.batch, t.seq}, DType::kInt64, "_to_copy");
  }
  tape_.category = outer;
  return made;
}

void Trainer::zero_grad() {
  for (const Parameter& parameter : tape_.parameters) gradient_of(parameter).reset();
}

Tensor Trainer::loss_of(const Tensor& pred, const Tensor& labels) const {
  const Scope scope(tape_, "loss");
  const Tensor logits = to(merge_dims(pred, 0, 2), DType::kFloat32);
  const Tensor targets = merge_dims(labels, 0, 2);
  const bool in_parts = job_.degrees.tp > 1 && job_.training.loss_parallel;
  return in_parts ? parallel_cross_entropy(logits, targets) : cross_entropy(logits, targets);
}

Tensor Trainer::divided(Tensor sum) const { return div_scalar(std::move(sum)); }

// forward_backward_step without a pipeline: the logits go before the backward pass.
Tensor Trainer::forward_backward(int32_t step, const Tensor& inputs, const Tensor& labels) {
  tape_.begin_phase(step, -1, "forward");
  Tensor loss;
  {
    tape_.autocast = {.enabled = job_.is_alone(), .dtype = job_.training.param_dtype, .cache = {}};
    Tensor pred = forward(0, inputs);
    if (job_.training.keeps_logits) {
      pred_ = std::move(pred);
      pred_ = to(std::move(pred_), DType::kFloat32);
      pred = pred_;
    }
    loss = divided(loss_of(pred, labels));
    tape_.autocast = {};
  }
  tape_.begin_phase(step, -1, "backward");
  run_backward(tape_, loss);
  return detach(loss);
}

GradientLayout Trainer::layout() const {
  GradientLayout layout;
  const bool has_tp = job_.degrees.tp > 1;
  layout.reductions = (fsdp_ ? 1 : 0) + (has_tp ? 1 : 0);
  for (size_t i = 0; i < replicated_.size(); ++i) {
    layout.replicated.push_back(has_tp && (replicated_[i] || is_whole(i)));
    layout.partial.push_back(is_partial(i));
  }
  return layout;
}

/// Adam in one kernel, which takes gradients as their parameters lie: parts of what is whole, sums of what is partial.
void Trainer::update() {
  optimizer_->step();
  std::vector<Tensor> gradients;
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

void Trainer::train_step(int32_t step) {
  tape_.begin_phase(step, -1, "input");
  zero_grad();
  count_tokens();
  RingInput given = make_batch();
  Tensor& inputs = given.tokens;
  Tensor& labels = given.labels;
  Tensor loss;
  if (job_.degrees.pp == 1) {
    loss = forward_backward(step, inputs, labels);
  } else {
    tape_.begin_phase(step, -1, "pipeline");
    losses_.clear();
    targets_ = chunks_.back().heads ? labels : Tensor();
    run_schedule(*this, inputs, targets_, received_, losses_);
    if (chunks_.back().heads) {
      const Tensor stacked = tape_.make({static_cast<int64_t>(losses_.size())}, DType::kFloat32, "stack");
      const Tensor sum = tape_.make(Shape{}, DType::kFloat32, "sum");
    }
    loss = tape_.make(Shape{}, DType::kFloat32, "div");
  }
  given = {};
  tape_.begin_phase(step, -1, "clip");
  const Tensor norm = clip_grad_norm(tape_, layout());
  tape_.begin_phase(step, -1, "optimizer");
  update();
}

}  // namespace peakmem::titan
