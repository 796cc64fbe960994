#include "megatron/te_attention.h"

#include <utility>

#include "megatron/functions.h"
#include "trace/baddbmm.h"
#include "trace/workspace.h"

namespace peakmem::mcore {
namespace {

// Functions written in Python whose kernels write a tensor of their own.
void masked_softmax_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.in[0].shape()), g.in[0].dtype(), "scaled_masked_softmax_backward");
}
const Op kMaskedSoftmax = {"scaled_masked_softmax", masked_softmax_backward};

Tensor masked_softmax(const Tensor& scores) {
  Tape& tape = scores.tape();
  Node* node = tape.record(kMaskedSoftmax, {&scores});
  Tensor result = tape.make(contiguous(scores.shape()), scores.dtype(), kMaskedSoftmax.name);
  Tape::attach(node, result);
  tape.save_output(node, result);
  return result;
}

/// get_full_mask (utils.py): distances between positions, what lies left and right of the window, and both joined.
Tensor full_mask(Tape& tape, Expr seq, const Tensor& given) {
  const NoGrad no_grad(tape);
  const Shape square = {1, 1, seq, seq};
  const auto make = [&](const Shape& shape, DType dtype, const char* op) { return tape.make(shape, dtype, op); };
  Tensor distance;
  {
    const Tensor rows = make({seq}, DType::kInt32, "arange");
    const Tensor columns = make({seq}, DType::kInt32, "arange");
    distance = make(square, DType::kInt32, "sub");
  }
  const Tensor left = make(square, DType::kInt32, "sub");
  const Tensor right = make(square, DType::kInt32, "add");
  Tensor mask;
  {
    Tensor inside;
    {
      const Tensor from_left = make(square, DType::kBool, "le");
      Tensor from_right = make(square, DType::kBool, "lt");
      const Tensor inverse = make(square, DType::kBool, "bitwise_not");
      from_right.reset();
      inside = make(square, DType::kBool, "bitwise_and");
    }
    mask = make(square, DType::kBool, "logical_not");
  }
  return given ? make(given.shape(), DType::kBool, "logical_or") : mask;
}

/// A row for each head of each sequence: the softmax's logarithms.
Tensor row_logarithms(const Tensor& query) {
  return query.tape().make({query.size(1), query.size(2), query.size(0)}, DType::kFloat32, "softmax_lse");
}

// Inputs: query 0, key 1, value 2. Accumulators as flash_attn 2.7 lays them out (csrc/flash_attn/flash_api.cpp).
void flash_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  for (size_t i = 0; i < 3; ++i) g.out[i] = tape.make(contiguous(g.input_shape(i)), g.in[0].dtype(), "empty_like");
  const Tensor gradient = contiguous(g.in[0]);
  const Shape& shape = g.input_shape(0);  // [b, s, heads, d]
  const int64_t rows = (shape[1].number() + 127) / 128 * 128;
  const int64_t columns = (shape[3].number() + 31) / 32 * 32;
  const Expr floats = shape[0] * shape[2] * rows * size_of(DType::kFloat32);
  const Tensor sums = workspace(tape, floats, "softmax_d");
  const Tensor dq = workspace(tape, floats * columns, "dq_accum");
  const bool grouped = !identical(g.input_shape(1)[2], shape[2]);
  const Tensor dk = workspace(tape, grouped ? dense_bytes(gradient) : Expr(0), "dk_expanded");
  const Tensor dv = workspace(tape, grouped ? dense_bytes(gradient) : Expr(0), "dv_expanded");
}
const Op kFlash = {"FlashAttnFunc", flash_backward};

Tensor flash(const Tensor& query, const Tensor& key, const Tensor& value) {
  Tape& tape = query.tape();
  Node* node = tape.record(kFlash, {&query, &key, &value});
  Tensor output = tape.make(contiguous(query.shape()), query.dtype(), kFlash.name);
  const Tensor logarithms = tape.make({query.size(0), query.size(2), query.size(1)}, DType::kFloat32, "softmax_lse");
  const Tensor rng_state = tape.make({2}, DType::kInt64, "rng_state");
  for (const Tensor* each : {&query, &key, &value}) tape.save(node, *each);
  tape.save_output(node, output);
  tape.save(node, logarithms);
  tape.save(node, rng_state);
  Tape::attach(node, output);
  return output;
}

// Inputs: query 0, key 1, value 2. Gradients lie as these did: side by side in one tensor, or each in its own.
void fused_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  const bool side_by_side = g.node.dims[0] != 0;
  Tensor all;
  if (side_by_side) all = tape.make(Shape{3 * g.input_shape(0).elements()}, g.in[0].dtype(), "fused_attn_bwd");
  for (size_t i = 0; i < 3; ++i) {
    const Shape shape = contiguous(g.input_shape(i));
    g.out[i] = side_by_side ? tape.look(all, shape, true) : tape.make(shape, g.in[0].dtype(), "fused_attn_bwd");
  }
}
const Op kFused = {"FusedAttnFunc", fused_backward};

void split_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  const bool side_by_side = g.in[1] && g.in[2] && g.in[0]->storage == g.in[1]->storage;
  const Shape whole = contiguous(g.input_shape(0));
  g.out[0] = side_by_side ? tape.look(g.in[0], whole, false) : tape.make(whole, g.in[0].dtype(), "cat");
}
const Op kSplitAlong = {"SplitAlongDim", split_backward};

void rotary_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "fused_rope_backward");
}
const Op kRotary = {"FusedRoPEFunc", rotary_backward};

}  // namespace

Tensor te_rotary(Tensor input, const Tensor& angles) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kRotary, {&x});
  Tensor result = tape.make(contiguous(x.shape()), x.dtype(), kRotary.name);
  tape.save(node, angles);
  Tape::attach(node, result);
  return result;
}

std::array<Tensor, 3> split_along_last(Tensor input, const std::array<Expr, 3>& lengths) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kSplitAlong, {&x});
  std::array<Tensor, 3> parts;
  for (uint8_t i = 0; i < 3; ++i) {
    parts[i] = tape.look(x, narrowed(x.shape(), x.shape().rank - 1, lengths[i]), true);
    Tape::attach(node, parts[i], i);
  }
  return parts;
}

Tensor te_unfused_attention(Tensor query, Tensor key, Tensor value, const Tensor& mask, double p) {
  Tape& tape = query.tape();
  const Expr seq = query.size(0);
  const Expr batch = query.size(1);
  const Expr heads = query.size(2);
  const Tensor attention_mask = full_mask(tape, seq, mask);
  if (!identical(key.size(2), heads)) {
    const Expr count = exact_div(heads, key.size(2));
    key = repeat_interleave(key, count, 2);
    value = repeat_interleave(value, count, 2);
  }
  Tensor matmul_result = tape.make({batch * heads, seq, seq}, query.dtype(), "empty");
  query = merge_dims(query, 1, 2);
  key = merge_dims(key, 1, 2);
  matmul_result = baddbmm(matmul_result, transpose(query, 0, 1), transpose(transpose(key, 0, 1), 1, 2), true);
  matmul_result = split_dim(matmul_result, 0, batch, heads);
  Tensor attention_probs = masked_softmax(matmul_result);
  attention_probs = dropout(attention_probs, p);
  value = merge_dims(value, 1, 2);
  attention_probs = merge_dims(attention_probs, 0, 2);
  Tensor context = bmm(attention_probs, transpose(value, 0, 1));
  context = split_dim(context, 0, batch, heads);
  context = contiguous(transpose(transpose(context, 0, 2), 1, 2));
  return merge_dims(context, 2, 2);
}

Tensor te_flash_attention(Tensor query, Tensor key, Tensor value) {
  const auto by_batch = [](const Tensor& x) { return contiguous(transpose(x, 0, 1)); };
  const Tensor q = by_batch(query);
  const Tensor k = by_batch(key);
  const Tensor v = by_batch(value);
  const Tensor output = flash(q, k, v);
  return merge_dims(contiguous(transpose(output, 0, 1)), 2, 2);
}

Tensor te_fused_attention(Tensor query, Tensor key, Tensor value) {
  Tape& tape = query.tape();
  const bool side_by_side = query->storage == key->storage && identical(query.size(2), key.size(2));
  if (!side_by_side)
    for (Tensor* each : {&query, &key, &value}) *each = contiguous(std::move(*each));
  Node* node = tape.record(kFused, {&query, &key, &value});
  if (node != nullptr) node->dims = {side_by_side ? 1 : 0, 0};
  Tensor output = tape.make(contiguous(query.shape()), query.dtype(), kFused.name);
  const Tensor logarithms = row_logarithms(query);
  const Tensor rng_state = tape.make({2}, DType::kInt64, "rng_state");
  for (const Tensor* each : {&query, &key, &value}) tape.save(node, *each);
  tape.save_output(node, output);
  tape.save(node, logarithms);
  tape.save(node, rng_state);
  Tape::attach(node, output);
  return merge_dims(output, 2, 2);
}

}  // namespace peakmem::mcore
