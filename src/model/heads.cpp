#include "model/heads.h"

#include <utility>

#include "model/cache.h"
#include "model/sight.h"

namespace peakmem {

namespace {

bool classifies(Task task) { return task == Task::kSequenceClassification || task == Task::kImageClassification; }

}  // namespace

Shape label_shape(const Builder& b, Expr rows) {
  const Description& d = b.description;
  switch (d.task) {
    case Task::kSeq2SeqLm:
      return {rows, b.dims.target_seq};
    case Task::kSequenceClassification:
    case Task::kImageClassification:
      if (d.problem == Problem::kSingleLabel || (d.problem == Problem::kRegression && d.labels == 1)) return {rows};
      return {rows, b.dims.labels};
    case Task::kQuestionAnswering:
    case Task::kMultipleChoice:
      return {rows};
    default:
      return {rows, b.dims.seq};
  }
}

namespace {

void make_labels(const Builder& b, Batch& batch) {
  const Description& d = b.description;
  if (d.task == Task::kFeatureExtraction || d.task == Task::kContrastive) return;
  const Expr rows = b.dims.examples;
  const bool are_numbers = classifies(d.task) && d.problem != Problem::kSingleLabel;
  batch.labels = b.tape.make(label_shape(b, rows), are_numbers ? DType::kFloat32 : DType::kInt64, "labels");
  if (d.task == Task::kQuestionAnswering) batch.more_labels = b.tape.make({rows}, DType::kInt64, "end_positions");
  if (d.task == Task::kPreTraining && d.family == "bert")
    batch.more_labels = b.tape.make({rows}, DType::kInt64, "next_sentence_label");
}

bool is_rated(BatchKind kind) { return kind == BatchKind::kRated || kind == BatchKind::kScoredRated; }

/// What TRL 1.16's collators for preferences make (trainer/dpo_trainer.py, reward_trainer.py, kto_trainer.py): chosen
/// sequences, then rejected ones; or rated ones and as many others.
Batch make_sides(const Builder& b) {
  Batch batch;
  const auto make = [&b](Expr tokens, const char* name) {
    return b.tape.make({b.dims.examples, tokens}, DType::kInt64, name);
  };
  for (Tensor& of_prompts : batch.prompts) of_prompts = make(b.dims.seq - b.dims.completion, "prompt_input_ids");
  for (std::array<Tensor, 3>& side : batch.sides)
    for (Tensor& of_side : side) of_side = make(b.dims.seq, "chosen_input_ids");
  return batch;
}

Batch make_preferences(const Builder& b) {
  const BatchKind kind = b.structure.batch;
  if (kind == BatchKind::kSides) return make_sides(b);
  const Shape tokens = {b.dims.batch, b.dims.seq};
  Batch batch;
  batch.input_ids = b.tape.make(tokens, DType::kInt64, "input_ids");
  batch.attention_mask = b.tape.make(tokens, DType::kInt64, "attention_mask");
  if (kind == BatchKind::kRankedPairs) return batch;
  batch.completion_mask = b.tape.make(tokens, DType::kInt64, "completion_mask");
  if (is_rated(kind)) {
    for (Tensor& of_others : batch.mismatched) of_others = b.tape.make(tokens, DType::kInt64, "KL_input_ids");
    batch.ratings = b.tape.make({b.dims.examples}, DType::kBool, "label");
  }
  if (kind == BatchKind::kScoredPairs || kind == BatchKind::kScoredRated)
    for (Tensor& scores : batch.scores) scores = b.tape.make({b.dims.examples}, DType::kFloat32, "ref_logps");
  return batch;
}

/// What the trainer asks of its fused head; KTOTrainer and GRPOTrainer do not ask which label is the likeliest.
ChunkedOutputs asked_outputs(const Structure& s) {
  const bool metrics = s.outputs != TokenOutputs::kLogProbs;
  const bool compares_labels = !is_rated(s.batch) && s.batch != BatchKind::kCompletions;
  return {metrics, s.outputs == TokenOutputs::kMetricsAndLogits, metrics && compares_labels};
}

/// Images as an encoder of that description takes them.
Tensor make_images(const Builder& b, const Description& d, Expr images) {
  Tape& tape = b.tape;
  const bool as_weights = d.takes_images_as_weights && !b.structure.casts_inputs;
  const Expr side = d.image;
  if (d.patch_frames > 0)
    return tape.make({images * Expr(d.positions), d.channels * d.patch_frames * d.patch * d.patch}, DType::kFloat32,
                     "pixel_values");
  const DType dtype = as_weights ? b.structure.weights : DType::kFloat32;
  return tape.make({images, d.channels, side, side}, dtype, "pixel_values");
}

/// What a feature extractor makes of sound, in the dtype of the weights that it meets.
Tensor make_sound(const Builder& b) {
  const DType dtype = b.structure.casts_inputs ? DType::kFloat32 : b.structure.weights;
  return b.tape.make({b.dims.batch, b.description.mel_bins, 2 * b.dims.seq}, dtype, "input_features");
}

}  // namespace

Batch make_batch(const Builder& b) {
  if (b.structure.batch != BatchKind::kLabelled) return make_preferences(b);
  const Description& d = b.description;
  const Expr rows = b.dims.batch;
  const Shape tokens = {rows, b.dims.seq};
  Batch batch;
  if (d.image > 0)
    batch.pixel_values = make_images(b, d, rows);
  else if (d.mel_bins > 0)
    batch.input_features = make_sound(b);
  else
    batch.input_ids = b.tape.make(tokens, DType::kInt64, "input_ids");
  if (d.tower) batch.pixel_values = make_images(b, *d.tower, b.dims.images * rows);
  if (d.tower && d.sight->any_size)
    batch.grids = b.tape.make({b.dims.images * rows, 3}, DType::kInt64, "image_grid_thw");
  if (d.tower && d.sight->tells_tokens_apart) batch.token_types = b.tape.make(tokens, DType::kInt64, "token_type_ids");
  make_labels(b, batch);
  if (b.structure.padding_mask) batch.attention_mask = b.tape.make(tokens, DType::kInt64, "attention_mask");
  return batch;
}

Tensor cross_entropy_of(const Tensor& logits, const Tensor& labels, const Batch& batch) {
  Tensor loss = cross_entropy(logits, labels);
  if (!batch.is_counted) return loss;
  return batch.items ? div(std::move(loss), batch.items) : div_scalar(std::move(loss));
}

namespace {

/// ForCausalLMLoss up to transformers 4.48: the logits are shifted, which copies them.
Tensor shifted_logits_loss(const Builder& b, const Tensor& logits, const Batch& batch) {
  const Tensor full = to(logits, DType::kFloat32);
  const Expr predicted = batch.labels.size(1) - 1;
  const Tensor shifted = contiguous(slice(full, 1, predicted));
  const Tensor targets = contiguous(slice(batch.labels, 1, predicted));
  const Tensor rows = merge_dims(shifted, 0, 2);
  const Tensor labels = merge_dims(targets, 0, 2);
  return b.structure.kernels.loss == LossKernel::kFoak ? foak_loss(b, rows, labels, batch.is_counted)
                                                       : cross_entropy_of(rows, labels, batch);
}

/// Labels shifted by one: as many, the last one ignored. The padded ones live as long.
struct ShiftedLabels {
  Tensor padded;
  Tensor shifted;
};
ShiftedLabels shift(const Builder& b, const Tensor& labels) {
  const Tensor padded = b.tape.make({b.dims.batch, b.dims.seq + 1}, DType::kInt64, "constant_pad_nd");
  return {padded, contiguous(slice(padded, 1, labels.size(1)))};
}

Tensor shifted_labels_loss(const Builder& b, const Tensor& logits, const Batch& batch) {
  const Tensor full = to(logits, DType::kFloat32);
  const auto [padded, shifted] = shift(b, batch.labels);
  const Tensor rows = merge_dims(full, 0, 2);
  return cross_entropy_of(rows, merge_dims(shifted, 0, 2), batch);
}

}  // namespace

Tensor causal_lm_loss(const Builder& b, const Tensor& logits, const Batch& batch) {
  const Scope scope(b.tape, "loss");
  const bool shifts_logits = b.structure.transformers <= Transformers::kV448;
  return shifts_logits ? shifted_logits_loss(b, logits, batch) : shifted_labels_loss(b, logits, batch);
}

namespace {

/// apply_lce of axolotl's fork (cut_cross_entropy/transformers/utils.py): the sum over how many a trainer counted, or
/// the mean; hidden states of fp32 are made as the head is.
Tensor cut_loss(const Builder& b, const Tensor& hidden_states, const Tensor& head, const Batch& batch) {
  const Dims& d = b.dims;
  const Tensor hidden = to(hidden_states, head.dtype());
  Tensor loss = cut_cross_entropy(hidden, head, batch.labels, d.batch * d.scored, b.description.caps_logits);
  if (!batch.is_counted) return loss;
  return batch.items ? div(std::move(loss), batch.items) : div_scalar(std::move(loss));
}

}  // namespace

ModelOutput fused_lm_loss(const Builder& b, const Tensor& hidden_states, const Tensor& head, const Batch& batch) {
  const Scope scope(b.tape, "loss");
  const Tensor& labels = batch.labels;
  const Dims& d = b.dims;
  const Structure& s = b.structure;
  if (s.kernels.loss == LossKernel::kChunked) {
    ChunkedLoss made =
        chunked_log_prob_loss(hidden_states, head, labels, {d.batch * d.scored, kTokenTile, s.loss.token_tiles},
                              {d.vocab, kVocabularyTile, s.loss.vocabulary_tiles}, asked_outputs(s));
    ModelOutput output;
    output.loss = std::move(made.loss);
    output.lists_others = true;
    for (const Tensor& one : {made.log_probs, made.entropy, made.mean_logits, made.is_top1, made.mask})
      if (one) output.others.push_back(one);
    return output;
  }
  if (s.kernels.loss == LossKernel::kCut) return {cut_loss(b, hidden_states, head, batch), {}, {}, take_cache(b)};
  const auto [padded, shifted] = shift(b, labels);
  Tensor loss =
      liger_linear_cross_entropy(merge_dims(hidden_states, 0, 2), head, {d.batch * d.seq, d.loss_rows, s.loss.chunks});
  return {std::move(loss), {}, {}, take_cache(b)};
}

Tensor foak_loss(const Builder& b, const Tensor& logits, const Tensor& labels, bool is_counted) {
  const Tensor losses = foak_cross_entropy(logits, labels);
  if (is_counted) return div_scalar(sum_all(losses));
  Tensor labelled = b.tape.make(labels.shape(), DType::kBool, "ne");
  const Tensor items = b.tape.make({}, DType::kInt64, "count_nonzero");
  labelled.reset();
  return div(sum_all(losses), items);
}

Tensor token_loss(const Tensor& logits, const Tensor& labels) {
  const Scope scope(logits.tape(), "loss");
  return cross_entropy(merge_dims(logits, 0, 2), merge_dims(labels, 0, 2));
}

ModelOutput last_token_output(const Builder& b, const Tensor& logits, const Tensor& input_ids, const Tensor& labels) {
  const Scope scope(b.tape, "loss");
  Tape& tape = b.tape;
  if (!b.description.has_padding_token) {  // logits[rows, -1]: Python takes the -1 first, as a view
    const Tensor rows = tape.make({b.dims.batch}, DType::kInt64, "arange");
    const Tensor pooled = take_rows(select_first(logits), rows);
    Tensor loss = labels ? label_loss(b, pooled, labels) : Tensor();
    return {std::move(loss), pooled, {}, take_cache(b)};
  }
  Tensor not_padding;
  {
    const Tensor different = tape.make(input_ids.shape(), DType::kBool, "ne");
    not_padding = tape.make(input_ids.shape(), DType::kInt32, "_to_copy");
  }
  const Tensor range = tape.make({b.dims.seq}, DType::kInt32, "arange");
  Tensor last;
  {
    const Tensor product = tape.make(input_ids.shape(), DType::kInt32, "mul");
    last = tape.make({b.dims.batch}, DType::kInt64, "argmax");
  }
  const Tensor rows = tape.make({b.dims.batch}, DType::kInt64, "arange");
  const Tensor pooled = index_rows(logits, rows, last);
  Tensor loss = labels ? label_loss(b, pooled, labels) : Tensor();
  return {std::move(loss), pooled, {}, take_cache(b)};
}

Tensor answer_loss(const Builder& b, const Tensor& starts, const Tensor& ends, const Batch& batch) {
  const Scope scope(b.tape, "loss");
  const Tensor start_positions = b.tape.make(batch.labels.shape(), DType::kInt64, "clamp");
  const Tensor end_positions = b.tape.make(batch.labels.shape(), DType::kInt64, "clamp");
  const Tensor start_loss = cross_entropy(starts, start_positions);
  const Tensor end_loss = cross_entropy(ends, end_positions);
  return div_scalar(add(start_loss, end_loss));
}

Tensor label_loss(const Builder& b, const Tensor& logits, const Tensor& labels) {
  switch (b.description.problem) {
    case Problem::kRegression:
      return mse_loss(logits, labels);
    case Problem::kMultiLabel:
      return binary_cross_entropy(logits, labels);
    case Problem::kSingleLabel:
      return cross_entropy(logits, labels);
  }
  return {};
}

}  // namespace peakmem
