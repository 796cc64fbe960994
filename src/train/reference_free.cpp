#include "train/reference_free.h"

#include <array>

#include "trace/ops.h"
#include "train/preference.h"

namespace peakmem {
namespace {

Tensor integers(Tape& tape, const Shape& shape, const char* name) { return tape.make(shape, DType::kInt64, name); }

/// torch.where(unwanted, labels, number), or labels[unwanted] = number in place.
Tensor replaced(Tape& tape, Tensor labels, bool in_place) {
  const Tensor from = std::move(labels);
  const Tensor unwanted = tape.make(from.shape(), DType::kBool, "eq");
  if (in_place) return from;
  const Tensor number = integers(tape, {}, "scalar_tensor");
  return integers(tape, from.shape(), "where");
}

/// concatenated_inputs: the chosen sequences, then the rejected ones.
std::array<Tensor, 3> concatenated(const Batch& batch) {
  std::array<Tensor, 3> joined;
  for (size_t i = 0; i < joined.size(); ++i) joined[i] = cat(batch.sides[0][i], batch.sides[1][i], 0);
  return joined;
}

/// cross_entropy_loss of the chosen sequences: of the whole ones in ORPO, of their completions in CPO.
Tensor chosen_loss(const Tensor& logits, const Tensor& labels, Expr pairs) {
  const Expr predicted = labels.size(1) - 1;
  const Tensor shifted = contiguous(slice(slice(logits, 0, pairs), 1, predicted));
  const Tensor targets = contiguous(slice(slice(labels, 0, pairs), 1, predicted));
  return cross_entropy(merge_dims(shifted, 0, 2), merge_dims(targets, 0, 2));
}

/// get_batch_logps: a sum over each sequence's tokens, or their mean.
Tensor batch_log_probs(const Tensor& logits, const Tensor& labels, const Recipe& recipe) {
  Tape& tape = logits.tape();
  const Expr predicted = labels.size(1) - 1;
  const Shape tokens = {labels.size(0), predicted};
  Tensor shifted = integers(tape, tokens, "clone");
  const Tensor counts = tape.make(tokens, DType::kBool, "ne");
  const Tensor targets = replaced(tape, std::move(shifted), recipe.objective != Objective::kOrpo);
  const Tensor of_tokens = selective_log_softmax(slice(logits, 1, predicted), targets);
  const Tensor sums = sum_dim(mul(of_tokens, counts), 1);
  if (recipe.objective == Objective::kCpo) return sums;
  const Tensor lengths = integers(tape, {labels.size(0)}, "sum");
  return div(sums, lengths);
}

/// What concatenated_forward returns. The logits' views hold them.
struct Scores {
  std::array<Tensor, 2> sides;
  Tensor nll;
  Tensor logits;
};
Scores concatenated_forward(Tape& tape, Model& policy, const Batch& batch, const Recipe& recipe,
                            const DataParallel* parallel) {
  const std::array<Tensor, 3> joined = concatenated(batch);
  Batch given;
  given.input_ids = joined[0];
  given.attention_mask = joined[1];
  const ModelOutput outputs = called_policy(tape, policy, given, recipe, parallel);
  const Scope scope(tape, "loss");
  const bool is_orpo = recipe.objective == Objective::kOrpo;
  const Expr pairs = batch.sides[0][0].size(0);
  Tensor labels = integers(tape, joined[2].shape(), "clone");
  if (is_orpo) labels = replaced(tape, std::move(labels), false);
  Scores scores;
  scores.nll = recipe.objective == Objective::kSimpo ? tape.make({}, DType::kFloat32, "tensor")
                                                     : chosen_loss(outputs.logits, labels, pairs);
  const Tensor log_probs = batch_log_probs(outputs.logits, joined[2], recipe);
  for (Tensor& side : scores.sides) side = slice(log_probs, 0, pairs);
  scores.logits = outputs.logits;
  return scores;
}

/// odds_ratio_loss, whose mean is taken from the chosen sequences' loss.
Tensor orpo_loss(const Scores& scores) {
  const Tensor difference = sub(scores.sides[0], scores.sides[1]);
  const Tensor chosen = log1mexp(scores.sides[0]);
  const Tensor rejected = log1mexp(scores.sides[1]);
  const Tensor ratio = log_sigmoid(sub(difference, sub(chosen, rejected)));
  return sub(scores.nll, mean_all(mul_scalar(ratio)));
}

/// -logsigmoid(beta * x) * (1 - smoothing), and the same of the rest.
Tensor smoothed(const Tensor& logits) {
  const Tensor scaled = mul_scalar(logits);
  const Tensor logarithm = log_sigmoid(scaled);
  return mul_scalar(neg(logarithm));
}

/// cpo_loss: the pair's difference, of SimPO less a margin.
Tensor cpo_loss(const Scores& scores, bool has_margin) {
  Tensor logits = sub(scores.sides[0], scores.sides[1]);
  if (has_margin) logits = add_scalar(std::move(logits));
  const Tensor likely = smoothed(logits);
  const Tensor unlikely = mul_scalar(log_sigmoid(mul_scalar(logits)));
  const Tensor losses = sub(likely, unlikely);
  const Tensor mean = mean_all(losses);
  const Tensor regularizer = mul_scalar(scores.nll);
  return add(mean, regularizer);
}

}  // namespace

Tensor reference_free_loss(Tape& tape, Model& policy, const Batch& batch, const Recipe& recipe,
                           const DataParallel* parallel) {
  const Scores scores = concatenated_forward(tape, policy, batch, recipe, parallel);
  const Scope scope(tape, "loss");
  if (recipe.objective == Objective::kOrpo) return orpo_loss(scores);
  return cpo_loss(scores, recipe.objective == Objective::kSimpo);
}

}  // namespace peakmem
