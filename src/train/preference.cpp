#include "train/preference.h"

#include <array>
#include <iterator>
#include <string_view>
#include <utility>

#include "trace/ops.h"
#include "train/grpo.h"
#include "train/model_call.h"
#include "train/reference_free.h"

namespace peakmem {
namespace {

/// Families whose dropout is in modules (torch.nn.Dropout), and whether attention's is too.
struct DropoutModules {
  std::string_view family;
  bool of_attention;
};
constexpr std::array kDropoutModules = {DropoutModules{"gpt2", true},         DropoutModules{"gptj", true},
                                        DropoutModules{"codegen", true},      DropoutModules{"gpt_neox", false},
                                        DropoutModules{"gpt_bigcode", false}, DropoutModules{"phi", false},
                                        DropoutModules{"stablelm", false}};

/// What the second model is built of: all weights as they were loaded, no adapters, no checkpoints; over shards one
/// unit, which is whole on the device before.
Recipe recipe_of_copy(const Recipe& policy) {
  Recipe copy = policy;
  copy.lora = {};
  copy.freeze = {};
  copy.checkpointing = Checkpointing::kNone;
  copy.sharding.by_accelerate = false;
  copy.sharding.one_unit = copy.built_on_device = is_wrapped(copy.sharding);
  return copy;
}

Structure structure_of_copy(const Job& job, const Recipe& recipe, const Structure& policy) {
  Job copy = job;
  copy.recipe = recipe;
  Structure structure = structure_of(copy, policy.unrolled);
  structure.lora = nullptr;
  structure.freeze = nullptr;
  structure.outputs = TokenOutputs::kLogProbs;
  return structure;
}

/// torch.Tensor.masked_fill(completion_mask == 0, -100) of the tokens.
Tensor labels_of(Tape& tape, const Batch& batch) {
  const Scope scope(tape, "loss");
  const Tensor is_prompt = tape.make(batch.completion_mask.shape(), DType::kBool, "eq");
  return tape.make(batch.input_ids.shape(), DType::kInt64, "masked_fill");
}

/// A sum over each sequence's tokens, chosen and rejected.
struct Sums {
  Tensor of_tokens, of_sequences;
  std::array<Tensor, 2> parts;
};
Sums sums_of(const ModelOutput& outputs) {
  Sums sums;
  const Tensor& log_probs = outputs.others.front();
  sums.of_tokens = slice(log_probs, 1, log_probs.size(1));  // [:, -seq_len:], which is all of them
  sums.of_sequences = sum_dim(sums.of_tokens, 1);
  sums.parts = split_in_two(sums.of_sequences, 0);
  return sums;
}

/// -logsigmoid(beta * delta).mean() * weight, added to a number.
Tensor sigmoid_loss(const Tensor& delta) {
  const Tensor scaled = mul_scalar(delta);
  const Tensor logarithm = log_sigmoid(scaled);
  const Tensor losses = neg(logarithm);
  return add_scalar(mul_scalar(mean_all(losses)));
}

}  // namespace

void settle_preference(Job& job) {
  if (job.recipe.objective == Objective::kGrpo) return;  // its disable_dropout is off
  job.recipe.choices = job.recipe.objective == Objective::kKto ? 1 : 2;
  job.recipe.lora.dropout = 0;
  Description& d = job.description;
  if (job.recipe.objective == Objective::kReward) {
    d.labels = 1;
    d.has_padding_token = true;  // the tokenizer's, which TRL writes into the config
  }
  for (const DropoutModules& row : kDropoutModules) {
    if (row.family != d.family) continue;
    d.embedding_dropout = d.hidden_dropout = 0;
    if (row.of_attention) d.attention_dropout = 0;
  }
}

ReferenceModel::ReferenceModel(const Builder& policy, Structure& structure, const Job& job)
    : builder_{policy.tape, policy.description, policy.dims, structure_},
      policy_structure_(structure),
      recipe_(recipe_of_copy(job.recipe)),
      structure_(structure_of_copy(job, recipe_, structure)),
      kind_(job.recipe.reference) {
  if (kind_ == Reference::kCopy) load();
}

/// The program's parameters are the policy's, which are aside meanwhile, as are its hooks and units.
void ReferenceModel::load() {
  Tape& tape = builder_.tape;
  const Scope scope(tape, "reference");
  std::vector<Parameter> trained = std::exchange(tape.parameters, {});
  std::vector<Parameter> frozen = std::exchange(tape.frozen, {});
  std::vector<SharedParameter> shared = tape.shared;
  std::vector<Weight> weights = std::exchange(tape.program.weights, {});
  const Expr parameters = tape.program.parameters;
  const Expr trained_parameters = tape.program.trained_parameters;
  const OuterUnits outer = std::exchange(tape.outer, {});
  Hooks* const hooks = std::exchange(tape.hooks, nullptr);
  build();
  tape.hooks = hooks;
  outer_ = std::exchange(tape.outer, outer);
  parameters_ = std::exchange(tape.parameters, std::move(trained));
  tape.frozen = std::move(frozen);
  tape.shared = std::move(shared);
  tape.program.weights = std::move(weights);
  tape.program.parameters = parameters;
  tape.program.trained_parameters = trained_parameters;
}

void ReferenceModel::build() {
  if (is_wrapped(recipe_.sharding)) sharded_.emplace(builder_.tape, recipe_);
  model_ = find_family(builder_.description.family)->build(builder_);
  if (sharded_) sharded_->shard();
}

ModelOutput ReferenceModel::run(Model& policy, const Batch& batch, const Recipe& recipe) {
  Tape& tape = builder_.tape;
  const NoGrad no_grad(tape);
  if (model_) {
    const Scope scope(tape, "reference");
    const bool training = std::exchange(tape.training, false);
    const OuterUnits outer = std::exchange(tape.outer, outer_);
    Hooks* const hooks = std::exchange(tape.hooks, sharded_ ? &*sharded_ : nullptr);
    ModelOutput outputs = whole_model(tape, *model_, batch, recipe);
    tape.hooks = hooks;
    tape.outer = outer;
    tape.training = training;
    return outputs;
  }
  tape.adapters = false;
  ModelOutput outputs = run_policy(policy, batch, recipe);
  tape.adapters = true;
  return outputs;
}

ModelOutput ReferenceModel::run_policy(Model& policy, const Batch& batch, const Recipe& recipe) {
  const NoGrad no_grad(builder_.tape);
  const Checkpointing checkpointing = std::exchange(policy_structure_.checkpointing, Checkpointing::kNone);
  ModelOutput outputs = whole_model(builder_.tape, policy, batch, recipe);
  policy_structure_.checkpointing = checkpointing;
  return outputs;
}

ModelOutput called_policy(Tape& tape, Model& policy, const Batch& batch, const Recipe& recipe,
                          const DataParallel* parallel) {
  ModelOutput outputs = whole_model(tape, policy, batch, recipe);
  if (parallel == nullptr) return outputs;
  outputs = parallel->passed(std::move(outputs));
  if (!recipe.ddp.finds_unused) return outputs;
  for (Tensor& other : outputs.others)
    if (other->requires_grad) other = clone(other, other.shape());
  return outputs;
}

namespace {

/// RewardTrainer.compute_loss.
Tensor reward_loss(Tape& tape, Model& policy, const Batch& batch, const Recipe& recipe, const DataParallel* parallel) {
  const ModelOutput outputs = called_policy(tape, policy, batch, recipe, parallel);
  const Scope scope(tape, "loss");
  const std::array<Tensor, 2> rewards = split_in_two(merge_dims(outputs.logits, 0, 2), 0);  // squeeze(-1)
  const Tensor delta = sub(rewards[0], rewards[1]);
  const Tensor logarithm = log_sigmoid(delta);
  return mean_all(neg(logarithm));
}

/// DPOTrainer._compute_loss.
Tensor dpo_loss(Tape& tape, Model& policy, ReferenceModel& reference, const Batch& batch, const Recipe& recipe,
                const DataParallel* parallel) {
  Batch given = batch;
  given.labels = labels_of(tape, batch);
  const ModelOutput outputs = called_policy(tape, policy, given, recipe, parallel);
  std::array<Tensor, 2> scores = batch.scores;
  const Sums sums = sums_of(outputs);
  ModelOutput reference_outputs;
  Sums reference_sums;
  if (recipe.reference != Reference::kPrecomputed) {
    reference_outputs = reference.run(policy, given, recipe);
    reference_sums = sums_of(reference_outputs);
    scores = reference_sums.parts;
  }
  const Scope scope(tape, "loss");
  const Tensor chosen = sub(sums.parts[0], scores[0]);
  const Tensor rejected = sub(sums.parts[1], scores[1]);
  const Tensor delta = sub(chosen, rejected);
  return sigmoid_loss(delta);
}

/// _compute_kl_logps: what a model says of sequences that do not belong together.
template <class Run>
Tensor mismatched_sums(Tape& tape, const Batch& batch, const Run& run) {
  Batch others = batch;
  others.input_ids = batch.mismatched[0];
  others.attention_mask = batch.mismatched[1];
  others.completion_mask = batch.mismatched[2];
  others.labels = labels_of(tape, others);
  const Tensor log_probs = run(others).others.front();
  return sum_dim(log_probs, 1);
}

/// The rows of the good sequences and of the bad ones; taken to be half of them.
std::array<Tensor, 2> rated_rows(Tape& tape, const Batch& batch) {
  const Expr all = batch.ratings.size(0);
  const Expr good = ceil_div(all, 2);
  std::array<Tensor, 2> rows;
  rows[0] = tape.make({good}, DType::kInt64, "nonzero");
  const Tensor is_bad = tape.make({all}, DType::kBool, "bitwise_not");
  rows[1] = tape.make({all - good}, DType::kInt64, "nonzero");
  return rows;
}

/// weight * (1 - sigmoid(beta * (logratios - kl))): `1 - x` and `kl - x` are to memory what `-x` is.
Tensor kto_losses(const Tensor& log_ratios, bool is_good) {
  const Tensor distance = is_good ? add_scalar(log_ratios) : neg(log_ratios);
  return mul_scalar(neg(sigmoid(mul_scalar(distance))));
}

/// KTOTrainer._compute_loss.
Tensor kto_loss(Tape& tape, Model& policy, ReferenceModel& reference, const Batch& batch, const Recipe& recipe,
                const DataParallel* parallel) {
  const bool is_scored = recipe.reference == Reference::kPrecomputed;
  const Tensor good_count = tape.make({}, DType::kInt64, "sum");
  const Tensor bad_count = tape.make({}, DType::kInt64, "rsub");
  const Tensor mismatched =
      mismatched_sums(tape, batch, [&](const Batch& others) { return reference.run_policy(policy, others, recipe); });
  Batch given = batch;
  given.labels = labels_of(tape, batch);
  const ModelOutput outputs = called_policy(tape, policy, given, recipe, parallel);
  const Tensor of_tokens = slice(outputs.others.front(), 1, outputs.others.front().size(1));
  const Tensor sums = sum_dim(of_tokens, 1);
  const std::array<Tensor, 2> rows = rated_rows(tape, batch);
  const Tensor good = take_rows(sums, rows[0]);
  const Tensor bad = take_rows(sums, rows[1]);
  Tensor scores = batch.scores[0], mismatched_scores = batch.scores[1];
  ModelOutput reference_outputs;
  if (!is_scored) {
    const auto run = [&](const Batch& others) { return reference.run(policy, others, recipe); };
    mismatched_scores = mismatched_sums(tape, batch, run);
    reference_outputs = run(given);
    scores = sum_dim(reference_outputs.others.front(), 1);
  }
  const Scope scope(tape, "loss");
  const Tensor good_scores = take_rows(scores, rows[0]);
  const Tensor bad_scores = take_rows(scores, rows[1]);
  const Tensor kl = tape.make({}, DType::kFloat32, "clamp");
  const Tensor good_losses = kto_losses(sub(good, good_scores), true);
  const Tensor bad_losses = kto_losses(sub(bad, bad_scores), false);
  return div_scalar(sum_all(cat(good_losses, bad_losses, 0)));  // nanmean
}

}  // namespace

Tensor preference_loss(Tape& tape, Model& policy, ReferenceModel& reference, const Batch& batch, const Recipe& recipe,
                       const DataParallel* parallel) {
  if (recipe.objective == Objective::kReward) return reward_loss(tape, policy, batch, recipe, parallel);
  if (recipe.objective == Objective::kGrpo) return grpo_loss(tape, policy, batch, recipe, parallel);
  if (takes_logits(recipe.objective)) return reference_free_loss(tape, policy, batch, recipe, parallel);
  if (recipe.objective == Objective::kKto) return kto_loss(tape, policy, reference, batch, recipe, parallel);
  return dpo_loss(tape, policy, reference, batch, recipe, parallel);
}

}  // namespace peakmem
