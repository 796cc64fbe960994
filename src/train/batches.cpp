#include "train/batches.h"

#include <algorithm>
#include <array>
#include <utility>

#include "recipe/trainers.h"
#include "train/grpo.h"

namespace peakmem {
namespace {

/// Where answers start and end are not called labels.
bool has_labels(Task task) { return task != Task::kQuestionAnswering; }

/// What Trainer asks before it counts a batch's labels: a model whose forward takes **kwargs, and does not say of
/// itself that accepts_loss_kwargs is False.
bool takes_counts(const Description& description) {
  return has_labels(description.task) && description.family != "esm" && description.family != "convnext";
}

/// Whether Trainer finds that the loss shifts labels (5.23, Trainer.__init__): by the model's name, and GPT2LMHeadModel
/// says nothing of a loss.
bool shifts_labels(const Description& description) {
  return description.task == Task::kCausalLm && description.family != "gpt2";
}

}  // namespace

Batches::Batches(const Builder& builder, const Recipe& recipe)
    : builder_(builder),
      micro_batches_(recipe.accumulate),
      ranks_(ranks_of(recipe)),
      held_(recipe.trainer->is_transformers_loop),
      counts_evaluated_(recipe.trainer->counts_evaluated && recipe.transformers == Transformers::kV523),
      counts_(held_ && recipe.transformers > Transformers::kV445 && recipe.objective == Objective::kTask &&
              takes_counts(builder.description)) {
  if (held_) logged_loss_ = builder_.tape.buffer({}, DType::kFloat32, "logged_loss");
}

Batch Batches::take(int64_t micro) {
  if (!held_) return make_batch(builder_);
  if (micro == 0 && !of_step_.empty()) {
    renew();
  } else if (micro == 0) {
    make_all();
    if (counts_) count_labels();
  }
  Batch batch = of_step_[std::min(static_cast<size_t>(micro), of_step_.size() - 1)];
  if (completions_ != nullptr) return batch;
  batch.is_counted = counts_;
  batch.items = items_;
  return batch;
}

/// Of those behind the first one stands for all, unless each is traced.
void Batches::make_all() {
  if (completions_ != nullptr) {
    of_step_ = completions_->make();
    return;
  }
  Tape& tape = builder_.tape;
  const int64_t others = micro_batches_ - 1;
  const int64_t traced = builder_.structure.unrolled ? others : std::min<int64_t>(others, 1);
  of_step_ = {make_batch(builder_)};
  const int32_t outer = tape.turn;
  for (int64_t i = 0; i < traced; ++i) {
    if (traced < others) tape.turn = tape.new_turn(tape.new_repeat(), others);
    of_step_.push_back(make_batch(builder_));
  }
  tape.turn = outer;
}

/// sum(labels[..., 1:].ne(-100).sum() for labels of the step), as a number to divide by; transformers 4.48 counts all
/// labels, and the number leaves the device.
void Batches::count_labels() {
  Tape& tape = builder_.tape;
  const bool stays = builder_.structure.transformers == Transformers::kV523;
  const bool shifts = stays && shifts_labels(builder_.description);
  const Shape labels =
      shifts ? Shape{builder_.dims.batch, builder_.dims.seq - 1} : label_shape(builder_, builder_.dims.examples);
  Tensor sum, listed;  // 4.48 has a list of all counts before it adds them up
  if (!stays && micro_batches_ > 2) listed = tape.make({micro_batches_ - 2}, DType::kInt64, "sum");
  for (int64_t i = 0; i < (micro_batches_ > 1 ? 2 : 1); ++i) {
    Tensor counted = tape.make(labels, DType::kBool, "ne");
    const Tensor count = tape.make({}, DType::kInt64, "sum");
    counted.reset();
    sum = tape.make({}, DType::kInt64, "add");
  }
  if (stays && ranks_ > 1) {
    Tensor own = tape.make({1}, DType::kInt64, "clone");
    const Tensor all = tape.make({ranks_}, DType::kInt64, "all_gather");
    own.reset();
    sum = tape.make({}, DType::kInt64, "sum");
  }
  if (!stays) return;
  if (items_)
    tape.fill(items_);
  else
    items_ = tape.make({}, DType::kFloat32, "div");
}

void Batches::take_evaluated(Batch& inputs) {
  inputs = make_batch(builder_);
  if (!counts_ || !counts_evaluated_) return;
  Tensor items_before = std::move(items_);
  count_labels();
  inputs.is_counted = true;
  inputs.items = std::exchange(items_, std::move(items_before));
}

void Batches::let_go() {
  for (const Tensor& tensor : completions_->held()) builder_.tape.empty(tensor);
}

void Batches::renew() {
  Tape& tape = builder_.tape;
  std::vector<Tensor> held;
  for (const Batch& batch : of_step_) {
    for (const Tensor& prompt : batch.prompts)
      if (prompt) held.push_back(prompt);
    for (const std::array<Tensor, 3>& side : batch.sides)
      for (const Tensor& tensor : side)
        if (tensor) held.push_back(tensor);
    for (const Tensor* tensor :
         {&batch.input_ids, &batch.pixel_values, &batch.input_features, &batch.token_types, &batch.labels,
          &batch.more_labels, &batch.attention_mask, &batch.completion_mask, &batch.mismatched[0], &batch.mismatched[1],
          &batch.mismatched[2], &batch.scores[0], &batch.scores[1], &batch.ratings})
      if (*tensor) held.push_back(*tensor);
  }
  const int32_t outer = tape.turn;
  for (const Tensor& tensor : held) {
    tape.turn = tape.program.storages[static_cast<size_t>(tensor->storage)].turn;
    tape.fill(tensor);
  }
  tape.turn = outer;
  if (counts_) count_labels();
  if (items_) held.push_back(items_);
  for (const Tensor& tensor : held) tape.empty(tensor);
}

}  // namespace peakmem
