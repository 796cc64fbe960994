#include "model/heads.h"

namespace peakmem {

Batch make_batch(const Builder& b) {
  const Shape tokens = {b.dims.batch, b.dims.seq};
  const bool classifies =
      b.description.task == Task::kSequenceClassification || b.description.task == Task::kImageClassification;
  const DType label = classifies && b.description.labels == 1 ? DType::kFloat32 : DType::kInt64;
  const Expr side = b.description.image;
  Batch batch;
  if (b.description.image > 0)
    batch.pixel_values =
        b.tape.make({b.dims.batch, b.description.channels, side, side}, DType::kFloat32, "pixel_values");
  else
    batch.input_ids = b.tape.make(tokens, DType::kInt64, "input_ids");
  const bool translates = b.description.task == Task::kSeq2SeqLm;
  const Shape targets = translates ? Shape{b.dims.batch, b.dims.target_seq} : tokens;
  batch.labels = b.tape.make(classifies ? Shape{b.dims.batch} : targets, label, "labels");
  return batch;
}

namespace {

/// ForCausalLMLoss up to transformers 4.48: the logits are shifted, which copies them.
Tensor shifted_logits_loss(const Tensor& logits, const Tensor& labels) {
  const Tensor full = to(logits, DType::kFloat32);
  const Expr predicted = labels.size(1) - 1;
  const Tensor shifted = contiguous(slice(full, 1, predicted));
  const Tensor targets = contiguous(slice(labels, 1, predicted));
  return cross_entropy(merge_dims(shifted, 0, 2), merge_dims(targets, 0, 2));
}

}  // namespace

Tensor causal_lm_loss(const Builder& b, const Tensor& logits, const Tensor& labels) {
  const Scope scope(b.tape, "loss");
  if (b.structure.transformers == Transformers::k4_48) return shifted_logits_loss(logits, labels);
  const Tensor full = to(logits, DType::kFloat32);
  const Tensor padded = b.tape.make({b.dims.batch, b.dims.seq + 1}, DType::kInt64, "constant_pad_nd");
  const Tensor shifted = contiguous(slice(padded, 1, labels.size(1)));
  const Tensor rows = merge_dims(full, 0, 2);
  return cross_entropy(rows, merge_dims(shifted, 0, 2));
}

Tensor token_loss(const Tensor& logits, const Tensor& labels) {
  const Scope scope(logits.tape(), "loss");
  return cross_entropy(merge_dims(logits, 0, 2), merge_dims(labels, 0, 2));
}

Tensor last_token_loss(const Builder& b, const Tensor& logits, const Tensor& input_ids, const Tensor& labels) {
  const Scope scope(b.tape, "loss");
  Tape& tape = b.tape;
  if (!b.description.has_padding_token) {  // logits[rows, -1]: Python takes the -1 first, as a view
    const Tensor rows = tape.make({b.dims.batch}, DType::kInt64, "arange");
    return label_loss(b, take_rows(select_first(logits), rows), labels);
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
  return label_loss(b, index_rows(logits, rows, last), labels);
}

Tensor label_loss(const Builder& b, const Tensor& logits, const Tensor& labels) {
  return b.description.labels == 1 ? mse_loss(logits, labels) : cross_entropy(logits, labels);
}

}  // namespace peakmem
