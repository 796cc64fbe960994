#include "train/grpo.h"

#include <algorithm>
#include <array>

#include "trace/clamp.h"
#include "trace/ops.h"

namespace peakmem {
namespace {

Tensor integers(Tape& tape, const Shape& shape, const char* name) { return tape.make(shape, DType::kInt64, name); }
Tensor numbers(Tape& tape, const Shape& shape, const char* name) { return tape.make(shape, DType::kFloat32, name); }
Tensor flags(Tape& tape, const Shape& shape, const char* name) { return tape.make(shape, DType::kBool, name); }

/// Prompts and completions behind each other, and their masks.
std::array<Tensor, 2> joined(const Batch& batch) {
  std::array<Tensor, 2> both;
  for (size_t i = 0; i < both.size(); ++i) both[i] = cat(batch.prompts[i], batch.completions[i], 1);
  return both;
}

/// The tokens of which a model is asked, with labels of the completion alone.
Batch asked(Tape& tape, const Tensor& input_ids, const Tensor& attention_mask) {
  Batch batch;
  batch.input_ids = input_ids;
  batch.attention_mask = attention_mask;
  const Tensor is_padding = flags(tape, input_ids.shape(), "eq");
  batch.labels = integers(tape, input_ids.shape(), "masked_fill");
  return batch;
}

/// _get_per_token_logps_and_entropies without a graph: a micro-batch at a time, whose outputs go when the next one's
/// are there.
template <class Run>
Tensor log_probs_of(const std::array<Tensor, 2>& tokens, Expr completion, int64_t parts, Expr rows, const Run& run) {
  Tape& tape = tokens[0].tape();
  std::vector<Tensor> all;
  ModelOutput outputs;
  Batch given;
  for (int64_t i = 0; i < parts; ++i) {
    given = asked(tape, slice(tokens[0], 0, rows), slice(tokens[1], 0, rows));
    outputs = run(given);
    all.push_back(slice(outputs.others.front(), 1, completion));
  }
  return tape.make({tokens[0].size(0), completion}, all.front().dtype(), "cat");
}

/// What the rewards become advantages with, at the moment when most of it is there.
void compare_rewards(Tape& tape, Expr rows) {
  const Scope scope(tape, "rewards");
  std::vector<Tensor> held;
  for (int i = 0; i < 9; ++i) held.push_back(numbers(tape, {rows}, "nansum"));
  for (int i = 0; i < 5; ++i) held.push_back(flags(tape, {rows}, "isclose"));
}

/// The metrics of how far another engine's probabilities are from the policy's.
void log_differences(Tape& tape, const Shape& tokens) {
  const Scope scope(tape, "metrics");
  Tensor delta = numbers(tape, tokens, "sub");
  delta = numbers(tape, tokens, "abs");
  const Tensor mask = flags(tape, tokens, "_to_copy");
  Tensor is_nan = flags(tape, tokens, "isnan");
  const Tensor is_number = flags(tape, tokens, "bitwise_not");
  is_nan.reset();
  const Tensor chosen = flags(tape, tokens, "bitwise_and");
  delta = numbers(tape, tokens, "index");
}

}  // namespace

Completions::Completions(const Builder& builder, const Recipe& recipe, Model& policy, ReferenceModel& reference)
    : builder_(builder),
      recipe_(recipe),
      policy_(policy),
      reference_(reference),
      rows_(recipe.accumulate * builder.dims.examples) {}

Batch Completions::make_whole() {
  Tape& tape = builder_.tape;
  const Dims& d = builder_.dims;
  Batch whole;
  for (Tensor& of_prompts : whole.prompts) of_prompts = integers(tape, {rows_, d.seq - d.completion}, "prompt_ids");
  for (Tensor& of_all : whole.completions) of_all = integers(tape, {rows_, d.completion}, "completion_ids");
  if (recipe_.corrects_sampling) whole.sampled = numbers(tape, {rows_, d.completion}, "sampling_per_token_logps");
  const Tensor counted = integers(tape, {}, "sum");
  whole.items = integers(tape, {}, "sum");
  return whole;
}

void Completions::score(Batch& whole) {
  Tape& tape = builder_.tape;
  const Dims& d = builder_.dims;
  const std::array<Tensor, 2> tokens = joined(whole);
  const auto score_by = [&](const auto& run) {
    return log_probs_of(tokens, d.completion, recipe_.accumulate, d.examples, run);
  };
  Tensor difference, sums, is_invalid;
  if (recipe_.corrects_sampling) {
    whole.old = score_by([&](const Batch& given) { return reference_.run_policy(policy_, given, recipe_); });
    difference = numbers(tape, {rows_, d.completion}, "sub");
    difference = numbers(tape, {rows_, d.completion}, "mul");
    difference = numbers(tape, {rows_, d.completion}, "nan_to_num");
    sums = numbers(tape, {rows_, 1}, "sum");
    const Tensor ratio = numbers(tape, {rows_, 1}, "exp");
    is_invalid = flags(tape, {rows_, 1}, "bitwise_or");
    whole.ratio = numbers(tape, {rows_, 1}, "masked_fill");
  }
  if (recipe_.reference != Reference::kNone)
    whole.scored = score_by([&](const Batch& given) { return reference_.run(policy_, given, recipe_); });
  compare_rewards(tape, rows_);
  whole.advantages = numbers(tape, {rows_}, "nan_to_num");
  if (recipe_.corrects_sampling) log_differences(tape, {rows_, d.completion});
}

/// Every tensor once more, in another order.
Batch Completions::shuffled(const Batch& whole) {
  Batch mixed;
  held_.clear();
  const auto permuted = [&](const Tensor& tensor) {
    if (!tensor) return Tensor();
    return held_.emplace_back(builder_.tape.make(contiguous(tensor.shape()), tensor.dtype(), "index"));
  };
  for (size_t i = 0; i < 2; ++i) mixed.prompts[i] = permuted(whole.prompts[i]);
  for (size_t i = 0; i < 2; ++i) mixed.completions[i] = permuted(whole.completions[i]);
  mixed.advantages = permuted(whole.advantages);
  mixed.old = permuted(whole.old);
  mixed.ratio = permuted(whole.ratio);
  mixed.sampled = permuted(whole.sampled);
  mixed.scored = permuted(whole.scored);
  mixed.items = held_.emplace_back(whole.items);
  return mixed;
}

/// A micro-batch's rows.
Batch Completions::part(const Batch& whole) const {
  const auto rows_of = [this](const Tensor& tensor) {
    return tensor ? slice(tensor, 0, builder_.dims.examples) : Tensor();
  };
  Batch batch;
  for (size_t i = 0; i < 2; ++i) batch.prompts[i] = rows_of(whole.prompts[i]);
  for (size_t i = 0; i < 2; ++i) batch.completions[i] = rows_of(whole.completions[i]);
  batch.advantages = rows_of(whole.advantages);
  batch.old = rows_of(whole.old);
  batch.ratio = rows_of(whole.ratio);
  batch.sampled = rows_of(whole.sampled);
  batch.scored = rows_of(whole.scored);
  batch.items = whole.items;
  return batch;
}

std::vector<Batch> Completions::make() {
  Batch whole = make_whole();
  score(whole);
  const Batch mixed = shuffled(whole);
  whole = {};
  std::vector<Batch> batches;
  for (int64_t i = 0; i < std::min<int64_t>(recipe_.accumulate, 2); ++i) batches.push_back(part(mixed));
  return batches;
}

namespace {

/// What a micro-batch's graph begins with: the policy's log-probabilities of the completions, and their entropies.
struct Scored {
  Tensor log_probs, entropies;
};
Scored scored_policy(Tape& tape, Model& policy, const std::array<Tensor, 2>& tokens, Expr completion,
                     const Recipe& recipe, const DataParallel* parallel) {
  const Batch given = asked(tape, tokens[0], tokens[1]);
  const ModelOutput outputs = called_policy(tape, policy, given, recipe, parallel);
  Scored scored;
  scored.log_probs = cat_to_empty(DType::kFloat32, slice(outputs.others[0], 1, completion), 0);
  scored.entropies = cat_to_empty(DType::kFloat32, slice(outputs.others[1], 1, completion), 0);
  return scored;
}

/// exp(reference - policy) - (reference - policy) - 1
Tensor divergence(const Tensor& reference, const Tensor& policy) {
  const Tensor ratio = exp(sub(reference, policy));
  return add_scalar(sub(ratio, sub(reference, policy)));
}

/// num_items_in_batch.clamp(min=1.0), over the ranks, by the share of micro-batches.
Tensor normalizer_of(Tape& tape) {
  Tensor count = numbers(tape, {}, "clamp");
  count = numbers(tape, {}, "div");
  count = numbers(tape, {}, "mul");
  return numbers(tape, {}, "div");
}

}  // namespace

Tensor grpo_loss(Tape& tape, Model& policy, const Batch& batch, const Recipe& recipe, const DataParallel* parallel) {
  const std::array<Tensor, 2> tokens = joined(batch);
  const Expr completion = batch.completions[0].size(1);
  const Scored scored = scored_policy(tape, policy, tokens, completion, recipe, parallel);
  const Scope scope(tape, "loss");
  const Tensor advantages = unsqueeze(batch.advantages, 1);
  const Tensor old = batch.old ? batch.old : detach(scored.log_probs);
  const Tensor log_ratio = sub(scored.log_probs, old);
  const Tensor coefficient = exp(log_ratio);
  Tensor divergences;
  if (batch.scored) divergences = divergence(batch.scored, scored.log_probs);
  const Tensor clipped = clamp(coefficient);
  const Tensor first = mul(coefficient, advantages);
  const Tensor second = mul(clipped, advantages);
  Tensor losses = neg(minimum(first, second));
  if (batch.ratio) losses = mul(losses, batch.ratio);
  if (divergences) losses = add(losses, mul_scalar(divergences));
  const Tensor normalizer = normalizer_of(tape);
  return div(sum_all(mul(losses, batch.completions[1])), normalizer);
}

}  // namespace peakmem
