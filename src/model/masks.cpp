#include "model/masks.h"

namespace peakmem {
namespace {

/// find_packed_sequence_indices: do the positions form one sequence? Asked of every model that has positions.
void check_for_packed_sequences(const Builder& b) {
  Tape& tape = b.tape;
  const Shape tokens = {b.dims.batch, b.dims.seq};
  const Tensor first = tape.make({b.dims.batch, 1}, DType::kInt64, "sub");
  Tensor prepended = tape.make({b.dims.batch, b.dims.seq + 1}, DType::kInt64, "cat");
  const Tensor difference = tape.make(tokens, DType::kInt64, "sub");
  prepended.reset();
  Tensor breaks = tape.make(tokens, DType::kBool, "ne");
  const Tensor packed = tape.make(tokens, DType::kInt64, "cumsum");
  breaks.reset();
  Tensor last = tape.make({b.dims.batch}, DType::kBool, "eq");
  const Tensor all = tape.make({}, DType::kBool, "all");
}

Tensor positions_from(const Builder& b) {
  const Tensor range = b.tape.make({b.dims.seq}, DType::kInt64, "arange");
  return b.tape.make({b.dims.seq}, DType::kInt64, "add");
}

/// Which key each query may see: [1, 1, T, T].
Tensor visible_keys(const Builder& b, bool windowed) {
  Tape& tape = b.tape;
  const Shape square = {1, 1, b.dims.seq, b.dims.seq};
  const Tensor batch_range = tape.make({b.dims.batch}, DType::kInt64, "arange");
  const Tensor head_range = tape.make({1}, DType::kInt64, "arange");
  const Tensor queries = positions_from(b);
  const Tensor keys = positions_from(b);
  if (!windowed) return tape.make(square, DType::kBool, "le");
  Tensor ones = tape.make({}, DType::kBool, "new_ones");
  Tensor edge = tape.make({b.dims.seq}, DType::kInt64, "sub");
  Tensor inside = tape.make(square, DType::kBool, "gt");
  edge.reset();
  Tensor window = tape.make(square, DType::kBool, "bitwise_and");
  inside.reset();
  ones.reset();
  const Tensor causal = tape.make(square, DType::kBool, "le");
  return tape.make(square, DType::kBool, "bitwise_and");
}

}  // namespace

Tensor position_ids(const Builder& b) {
  const NoGrad no_grad(b.tape);
  const bool at_once = b.structure.transformers == Transformers::k4_48;
  return unsqueeze(at_once ? b.tape.make({b.dims.seq}, DType::kInt64, "arange") : positions_from(b), 0);
}

Tensor causal_mask(const Builder& b, bool windowed, DType dtype, bool has_positions) {
  if (b.structure.transformers == Transformers::k4_48) return {};  // what needs one there is refused
  const NoGrad no_grad(b.tape);
  const Scope scope(b.tape, "causal_mask");
  if (has_positions) check_for_packed_sequences(b);
  if (b.structure.attention == Attention::kFlash2) return {};
  const bool sdpa = b.structure.attention == Attention::kSdpa;
  if (sdpa && !(windowed && b.structure.window_cuts)) return {};
  Tensor visible = visible_keys(b, windowed);
  const Shape sizes = {b.dims.batch, 1, b.dims.seq, b.dims.seq};
  if (sdpa) return expand(std::move(visible), sizes);
  const Tensor zero = b.tape.make({}, dtype, "zeros");
  const Tensor lowest = b.tape.make({}, dtype, "scalar_tensor");
  return b.tape.make(sizes, dtype, "where");
}

}  // namespace peakmem
