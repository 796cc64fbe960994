#include "model/masks.h"

#include <array>
#include <string_view>

#include "trace/workspace.h"

namespace peakmem {

void check_for_packed_sequences(const Builder& b) {
  Tape& tape = b.tape;
  const Shape tokens = {b.dims.batch, b.dims.seq};
  const Tensor first = tape.make({b.dims.batch, 1}, DType::kInt64, "sub");
  Tensor prepended = tape.make({b.dims.batch, b.dims.seq + 1}, DType::kInt64, "cat");
  const Tensor difference = tape.make(tokens, DType::kInt64, "sub");
  prepended.reset();
  Tensor breaks = tape.make(tokens, DType::kBool, "ne");
  const Tensor packed = tape.make(tokens, DType::kInt64, "cumsum");
  workspace(tape, dense_bytes(packed), "cumsum");  // the booleans as what they are summed in
  breaks.reset();
  Tensor last = tape.make({b.dims.batch}, DType::kBool, "eq");
  const Tensor all = tape.make({}, DType::kBool, "all");
}

namespace {

Tensor positions_from(const Builder& b) {
  const Tensor range = b.tape.make({b.dims.seq}, DType::kInt64, "arange");
  return b.tape.make({b.dims.seq}, DType::kInt64, "add");
}

/// Families that tell create_causal_mask nothing of positions; `always`, they have a mask made where sdpa could do
/// without (allow_is_causal_skip=False).
struct MaskRow {
  std::string_view family;
  bool always;
};

/// Whether windows are chunks: a token sees those before it in its own (create_chunked_causal_mask).
bool cuts_chunks(const Builder& b, bool windowed) { return windowed && b.description.family == "llama4_text"; }
constexpr std::array kMaskRows = std::to_array<MaskRow>({{"falcon", true},
                                                         {"gpt_oss", false},
                                                         {"bloom", false},
                                                         {"mpt", false},
                                                         {"qwen2_vl", false},
                                                         {"qwen2_5_vl", false},
                                                         {"qwen3_vl", false}});

const MaskRow* mask_row(const Builder& b) {
  for (const MaskRow& row : kMaskRows)
    if (row.family == b.description.family) return &row;
  return nullptr;
}

/// chunked_overlay and causal_mask_function, which count from the first token that is not padding.
Tensor keys_of_chunk(const Builder& b) {
  Tape& tape = b.tape;
  const Dims& d = b.dims;
  const Shape square = {d.batch, 1, d.seq, d.seq};
  Tensor ones = tape.make({}, DType::kBool, "new_ones");
  Tensor padding = tape.make({d.batch, 1, 1, 1}, DType::kInt64, "index");
  Tensor place = tape.make({d.batch, 1, 1, d.seq}, DType::kInt64, "sub");
  padding.reset();
  const Tensor key_chunk = tape.make({d.batch, 1, 1, d.seq}, DType::kInt64, "floor_divide");
  place.reset();
  padding = tape.make({d.batch, 1, 1, 1}, DType::kInt64, "index");
  place = tape.make({d.batch, 1, d.seq, 1}, DType::kInt64, "sub");
  padding.reset();
  const Tensor query_chunk = tape.make({d.batch, 1, d.seq, 1}, DType::kInt64, "floor_divide");
  place.reset();
  Tensor same = tape.make(square, DType::kBool, "eq");
  Tensor keys = tape.make(square, DType::kBool, "bitwise_and");
  same.reset();
  ones.reset();
  const Tensor causal = tape.make({1, 1, d.seq, d.seq}, DType::kBool, "le");
  return tape.make(square, DType::kBool, "bitwise_and");
}

/// Which key each query may see whatever is padding: [1, 1, T, T].
Tensor causal_keys(const Builder& b, bool windowed) {
  Tape& tape = b.tape;
  const Shape square = {1, 1, b.dims.seq, b.dims.seq};
  if (!windowed) return tape.make(square, DType::kBool, "le");
  if (cuts_chunks(b, windowed)) return keys_of_chunk(b);
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

/// The same where padding is hidden too: [B, 1, T, T].
Tensor unpadded_causal_keys(const Builder& b, bool windowed) {
  Tape& tape = b.tape;
  Tensor ones = tape.make({}, DType::kBool, "new_ones");
  Tensor keys = causal_keys(b, windowed);
  keys = tape.make(keys.shape(), DType::kBool, "bitwise_and");
  ones.reset();
  const Tensor padding = tape.make({b.dims.batch, 1, 1, b.dims.seq}, DType::kBool, "index");
  return tape.make({b.dims.batch, 1, b.dims.seq, b.dims.seq}, DType::kBool, "bitwise_and");
}

Tensor visible_keys(const Builder& b, bool windowed) {
  const Tensor batch_range = b.tape.make({b.dims.batch}, DType::kInt64, "arange");
  const Tensor head_range = b.tape.make({1}, DType::kInt64, "arange");
  const Tensor queries = positions_from(b);
  const Tensor keys = positions_from(b);
  return b.structure.padding_mask ? unpadded_causal_keys(b, windowed) : causal_keys(b, windowed);
}

/// What transformers 4.48 asks of a mask of ones; jobs that need a mask there are refused.
Tensor no_mask_4_48(const Builder& b) {
  if (!b.structure.padding_mask) return {};
  const Tensor ones = b.tape.make({b.dims.batch, b.dims.seq}, DType::kBool, "eq");
  const Tensor all = b.tape.make({}, DType::kBool, "all");
  return {};
}

/// Is any token padding? What says which lives until the mask is made.
Tensor padding_of(const Builder& b, bool is_asked) {
  Tensor padding = b.tape.make({b.dims.batch, b.dims.seq}, DType::kBool, "_to_copy");
  if (!is_asked) return padding;
  const Tensor sum = b.tape.make({}, DType::kInt64, "sum");
  const Tensor all = b.tape.make({}, DType::kBool, "eq");
  return padding;
}

}  // namespace

Tensor position_ids(const Builder& b) {
  const NoGrad no_grad(b.tape);
  const bool at_once = b.structure.transformers <= Transformers::kV448;
  return unsqueeze(at_once ? b.tape.make({b.dims.seq}, DType::kInt64, "arange") : positions_from(b), 0);
}

Tensor causal_mask(const Builder& b, bool windowed, DType dtype, bool has_positions) {
  const NoGrad no_grad(b.tape);
  if (b.structure.transformers <= Transformers::kV448) return no_mask_4_48(b);
  const Scope scope(b.tape, "causal_mask");
  const bool sdpa = b.structure.attention == Attention::kSdpa;
  const bool flash2 = b.structure.attention == Attention::kFlash2;
  const MaskRow* row = mask_row(b);
  const bool always = row != nullptr && row->always;
  const bool does_without = flash2 || (sdpa && !always && !(windowed && b.structure.window_cuts));
  const Tensor padding = b.structure.padding_mask ? padding_of(b, does_without) : Tensor();
  if (has_positions && row == nullptr && !padding) check_for_packed_sequences(b);
  const Tensor left_padding = cuts_chunks(b, windowed) ? b.tape.make({b.dims.batch}, DType::kInt64, "zeros") : Tensor();
  if (does_without) return {};
  Tensor visible = visible_keys(b, windowed);
  const Shape sizes = {b.dims.batch, 1, b.dims.seq, b.dims.seq};
  if (sdpa) return expand(std::move(visible), sizes);
  const Tensor zero = b.tape.make({}, dtype, "zeros");
  const Tensor lowest = b.tape.make({}, dtype, "scalar_tensor");
  return b.tape.make(sizes, dtype, "where");
}

void look_for_padding(const Tensor& hidden_states) {
  Tape& tape = hidden_states.tape();
  const NoGrad no_grad(tape);
  const Scope scope(tape, "bidirectional_mask");
  const Tensor padding = tape.make({hidden_states.size(0), hidden_states.size(1)}, DType::kBool, "_to_copy");
  const Tensor all = tape.make({}, DType::kBool, "all");
}

// A model makes a mask for each kind of layer it has; the mapping of Qwen makes the full one in any case, that of
// Gemma 2 both.
DecoderMasks decoder_masks(const Builder& b, DType dtype) {
  bool has_windowed = b.description.maps_windowed_masks;
  bool has_full = b.description.maps_masks;
  for (const LayerRun& run : b.description.runs) {
    const bool windows = run.has(true) && b.description.window > 0;
    has_windowed = has_windowed || windows;
    has_full = has_full || !windows || run.has(false);
  }
  Tensor full = has_full ? causal_mask(b, false, dtype) : Tensor();
  return {full, has_windowed ? causal_mask(b, true, dtype) : Tensor()};
}

}  // namespace peakmem
