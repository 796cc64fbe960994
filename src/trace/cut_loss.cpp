#include "trace/ops.h"

namespace peakmem {
namespace {

constexpr const char* kName = "cut_cross_entropy";
constexpr int64_t kRowsPerLock = 128;
constexpr int64_t kColumnsPerLock = 64;

/// Counters by which the blocks of a kernel take turns in adding to a gradient [rows, C].
Tensor locks(Tape& tape, Expr rows, Expr columns) {
  return tape.make({ceil_div(rows, kRowsPerLock), ceil_div(columns, kColumnsPerLock)}, DType::kInt32, "new_zeros");
}

/// The vocabulary by mean logit, which the kernel goes through in that order.
Tensor sorted_vocabulary(const Tensor& mean_logits) {
  Tape& tape = mean_logits.tape();
  const Shape shape = mean_logits.shape();
  Tensor values = tape.make(shape, DType::kFloat32, "sort");
  const Tensor indices = tape.make(shape, DType::kInt64, "sort");
  values.reset();
  return tape.make(shape, DType::kInt32, "_to_copy");
}

/// The logits again, block by block, and from them both gradients.
void cut_backward(Gradients& g) {
  const Tensor rows = g.saved(0);
  const Tensor weight = g.saved(1);
  Tape& tape = rows.tape();
  const Expr labelled = g.saved(2).size(0);
  const Tensor order = sorted_vocabulary(g.saved(3));
  if (g.needs(0)) g.out[0] = tape.make(contiguous(rows.shape()), rows.dtype(), "zeros_like");
  if (g.needs(1)) g.out[1] = tape.make(contiguous(weight.shape()), weight.dtype(), "zeros_like");
  Tensor row_locks, column_locks;
  if (g.needs(0)) row_locks = locks(tape, labelled, rows.size(1));
  if (g.needs(1)) column_locks = locks(tape, weight.size(0), rows.size(1));
  for (const bool made : {true, g.needs(0), g.needs(1)})
    if (made) count_product(rows, rows.size(0), rows.size(1), weight.size(0));
}
const Op kCut = {kName, run_function};

/// The numbers of the rows whose label counts, as int64 [N] (_build_flat_valids).
Tensor labelled_rows(Tape& tape, const Shape& shifted, Expr count) {
  Tensor unmasked = tape.make(shifted, DType::kBool, "ne");
  Tensor places = tape.make({count, 2}, DType::kInt64, "nonzero");
  unmasked.reset();
  const Tensor as_int32 = tape.make({count, 2}, DType::kInt32, "_to_copy");
  places.reset();
  return tape.make({count}, DType::kInt64, "sum");
}

}  // namespace

Tensor cut_cross_entropy(const Tensor& hidden_states, const Tensor& weight, const Tensor& labels, Expr labelled,
                         bool caps_logits) {
  Tape& tape = hidden_states.tape();
  const Tensor valids = labelled_rows(tape, {labels.size(0), labels.size(1) - 1}, labelled);
  const Tensor rows = merge_dims(hidden_states, 0, 2);
  Node* node = tape.record(kCut, {&rows, &weight});
  const NoGrad no_grad(tape);
  const Tensor log_sums = tape.make({labelled}, DType::kFloat32, kName);
  Tensor turns = tape.make({ceil_div(labelled, kRowsPerLock)}, DType::kInt32, kName);
  const Tensor mean_logits = tape.make({weight.size(0)}, DType::kFloat32, kName);
  count_product(rows, rows.size(0), rows.size(1), weight.size(0));
  turns.reset();
  Tensor losses = tape.make({labelled}, DType::kFloat32, "new_zeros");
  if (caps_logits) losses = tape.make({labelled}, DType::kFloat32, "softcapping");
  Tensor loss = tape.make({}, DType::kFloat32, "sum");
  Tape::attach(node, loss);
  for (const Tensor* saved : {&rows, &weight, &log_sums, &mean_logits}) tape.save(node, *saved);
  // Its parameters hold labels and rows, which so live as long as the loss.
  if (node != nullptr) node->function = [valids, labels](Gradients& g) { cut_backward(g); };
  return loss;
}

}  // namespace peakmem
