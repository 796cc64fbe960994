#include "size/terms.h"
#include "trace/ops.h"
#include "trace/pick.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

/// How a kernel lays out what it makes: as [B, T, heads, D] in memory, or in the order of what it is like.
enum class Layout : uint8_t { kTokensFirst, kPreserved };

// Kernels work on [B, T, heads, D] and hand back the transposed view.
Tensor like_transposed(const Tensor& tensor, Expr width, Layout layout, const char* name) {
  Tape& tape = tensor.tape();
  const KeptShape& shape = transposed(narrowed(tensor.shape(), -1, width), 1, 2);
  const Tensor made =
      tape.make(layout == Layout::kPreserved ? preserved(shape) : contiguous(shape), tensor.dtype(), name);
  return tape.look(made, transposed(made.shape(), 1, 2), false);
}

/// A copy of [B, heads, T, D] where it is not laid out as [B, T, heads, D]: none of it for what is.
Tensor tokens_first(const Tensor& tensor) {
  const bool is_laid_out = is_contiguous(transposed(tensor.shape(), 1, 2));
  return workspace(tensor.tape(), is_laid_out ? Expr(0) : dense_bytes(tensor), "_flash_attention_backward");
}

// Saved by both kernels, and let go, in the order of the generated code: inputs by name, then outputs by name.
constexpr std::array<size_t, 3> kSavedOperand = {1, 0, 2};  // where query, key and value are: key, query, value
constexpr size_t kSavedOutput = 4;                          // flash's, after log-sum-exp

/// What a kernel computes for queries and keys [B, heads, T, D].
Work attention_work(const Tensor& query, const Tensor& key, Expr value_width, bool causal) {
  return {.kind = WorkKind::kAttention,
          .causal = causal,
          .batch = query.size(0),
          .heads = query.size(1),
          .rows = query.size(2),
          .columns = key.size(2),
          .inner = query.size(3),
          .width = value_width};
}

void fused_backward(Gradients& g, Layout layout, const char* name) {
  for (size_t i = 0; i < 3; ++i) {
    const Tensor operand = g.saved(kSavedOperand[i]);
    g.out[i] = like_transposed(operand, operand.size(-1), layout, name);
  }
  const Tensor query = g.saved(kSavedOperand[0]);
  const Tensor key = g.saved(kSavedOperand[1]);
  Work work = attention_work(query, key, g.in[0].size(-1), g.node.causal);
  work.kind = WorkKind::kAttentionBackward;
  count_attention(g.out[0], work);
}
// Heads that are not in the order of the kernel, of the gradient and of the output, are put into it first.
void flash_backward(Gradients& g) {
  const Tensor gradient = tokens_first(g.in[0]);
  const Tensor output = tokens_first(g.saved(kSavedOutput));
  fused_backward(g, Layout::kPreserved, "_scaled_dot_product_flash_attention_backward");
  run_flash_backward(g.saved(kSavedOperand[0]), g.saved(kSavedOperand[1]), g.node.kernel_size);
}
// The frontend's part of the workspace (cudnn-frontend 1.x, scaled_dot_product_flash_attention.h): the query's gradient
// and softmax's sums in fp32. What cuDNN's own plans want besides is not known.
void cudnn_backward(Gradients& g) {
  fused_backward(g, Layout::kPreserved, "_scaled_dot_product_cudnn_attention_backward");
  const Tensor query = g.saved(kSavedOperand[0]);
  const Expr rows = query.size(0) * query.size(1) * query.size(2);
  workspace(query.tape(), rows * (query.size(3) + 1) * size_of(DType::kFloat32), "_cudnn_attention_backward");
}
// A mask that wants a gradient is input 3; its gradient's rows are padded to a multiple of 16.
void efficient_backward(Gradients& g) {
  constexpr const char* kName = "_scaled_dot_product_efficient_attention_backward";
  fused_backward(g, Layout::kTokensFirst, kName);
  if (g.node.inputs >= 4 && g.needs(3)) {
    const KeptShape& mask = g.input_shape(3);
    const Tensor made = g.in[0].tape().make(contiguous(narrowed(mask, -1, g.node.kernel_size)), g.in[0].dtype(), kName);
    g.out[3] = slice(made, -1, mask[-1]);
  }
  const Tensor& query = g.saved(kSavedOperand[0]);
  const Tape& tape = query.tape();
  const auto width = [&](size_t operand) { return evaluate(g.saved(operand).size(-1), tape.symbol_values); };
  const AttentionKernels kernels = attention_kernels(tape.processor, width(kSavedOperand[0]), width(kSavedOperand[2]));
  run_efficient_backward(query, g.in[0], kernels.efficient(query.dtype()));
}
const Op kFlash = {"_scaled_dot_product_flash_attention", flash_backward};
const Op kCudnn = {"_scaled_dot_product_cudnn_attention", cudnn_backward};
const Op kEfficient = {"_scaled_dot_product_efficient_attention", efficient_backward};

/// What the two fused kernels share: they keep their operands, their output, and some small tensors for the backward.
struct Fused {
  Tape& tape;
  Node* node;
  const Op& op;
  Tensor output;
  std::array<Tensor, 3> extras;  // alive until the op returns
  size_t count = 0;

  Fused(const Op& kernel, Layout layout, const Tensor& query, const Tensor& key, const Tensor& value, bool causal,
        const Tensor& mask = Tensor())
      : tape(query.tape()), node(tape.record(kernel, {&query, &key, &value, &mask})), op(kernel) {
    for (const Tensor* operand : {&key, &query, &value}) tape.save(node, *operand);
    output = like_transposed(query, value.size(-1), layout, op.name);
    count_attention(output, attention_work(query, key, value.size(-1), causal));
    if (node != nullptr) node->causal = causal;
    Tape::attach(node, output);
  }
  /// Log-sum-exp and the output, in this order.
  void keep_outputs(const Shape& log_sum_exp) {
    keep(log_sum_exp, DType::kFloat32);
    tape.save_output(node, output);
  }
  void keep(const Shape& shape, DType dtype) {
    extras[count] = tape.make(shape, dtype, op.name);
    tape.save(node, extras[count++]);
  }
  void keep_on_host(const Shape& shape, DType dtype) {
    keep(shape, dtype);
    const int32_t storage = extras[count - 1]->storage;
    if (storage >= 0) tape.program.storages[static_cast<size_t>(storage)].on_host = true;
  }
};

void pad_backward(Gradients& g) {
  const Tensor& gradient = g.in[0];
  g.out[0] = gradient.tape().make(contiguous(g.input_shape(0)), gradient.dtype(), "constant_pad_nd");
}
const Op kPad = {"constant_pad_nd", pad_backward};

/// The last dimension padded to a multiple of 8, as the flash kernel needs it.
Tensor padded(Tensor input, Expr width) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kPad, {&x});
  Tensor result = tape.make(contiguous(narrowed(x.shape(), -1, width)), x.dtype(), kPad.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace

Tensor pad_last(Tensor input, Expr width) { return padded(std::move(input), width); }

namespace {

Tensor flash(Tensor query, Tensor key, Tensor value, bool causal, Expr padded_width, Expr columns) {
  const Expr width = query.size(-1);
  if (!identical(width, padded_width)) {
    query = padded(std::move(query), padded_width);
    key = padded(std::move(key), padded_width);
    value = padded(std::move(value), padded_width);
  }
  Fused kernel(kFlash, Layout::kPreserved, query, key, value, causal);
  if (kernel.node != nullptr) kernel.node->kernel_size = columns;
  kernel.keep_outputs({query.size(0), query.size(1), query.size(2)});
  kernel.keep({2}, DType::kUInt64);  // random state
  kernel.keep({}, DType::kUInt64);
  return identical(width, padded_width) ? kernel.output : slice(std::move(kernel.output), -1, width);
}

Tensor cudnn(const Tensor& query, const Tensor& key, const Tensor& value, bool causal) {
  Tape& tape = query.tape();
  const Tensor seed = tape.make({}, DType::kInt64, kCudnn.name);
  const Tensor offset = tape.make({}, DType::kInt64, kCudnn.name);
  Fused kernel(kCudnn, Layout::kPreserved, query, key, value, causal);
  kernel.keep_outputs({query.size(0), query.size(1), query.size(2)});
  tape.save(kernel.node, offset);
  tape.save(kernel.node, seed);
  return kernel.output;
}

// The additive mask is kept, its rows padded to a multiple of 8 and looked at as one for all heads; log-sum-exp is
// padded to 32 rows (kernel_forward.h).
Tensor efficient(const Tensor& query, const Tensor& key, const Tensor& value, Tensor mask, bool causal,
                 const KernelSizes& sizes) {
  if (mask && !identical(mask.size(-1), sizes.seq)) mask = slice(padded(mask, sizes.seq), -1, mask.size(-1));
  if (mask) mask = expand(mask, {query.size(0), query.size(1), query.size(2), key.size(2)});
  Fused kernel(kEfficient, Layout::kTokensFirst, query, key, value, causal, mask);
  if (kernel.node != nullptr) kernel.node->kernel_size = sizes.bias_row;
  if (mask) kernel.tape.save(kernel.node, mask);
  const Expr rows = kernel.node != nullptr ? round_up(query.size(2), 32) : Expr(0);  // for a backward pass only
  kernel.keep_outputs({query.size(0), query.size(1), rows});
  // Seed and offset of the random state: on the host, but where a CUDA graph is captured (attention.cu, torch 2.13).
  for (int i = 0; i < 2; ++i) kernel.keep_on_host({}, DType::kInt64);
  return kernel.output;
}

/// A boolean mask as zeros and minus infinities (convert_boolean_attn_mask).
Tensor additive(const Tensor& mask, DType dtype) {
  Tape& tape = mask.tape();
  const Tensor zero = tape.make({}, dtype, "scalar_tensor");
  const Tensor infinity = tape.make({}, dtype, "scalar_tensor");
  return tape.make(contiguous(mask.shape()), dtype, "where");
}

Tensor causal_mask(Tape& tape, const Tensor& query) {
  Tensor ones = tape.make({query.size(2), query.size(2)}, DType::kBool, "ones");
  const Tensor lower = tape.make(ones.shape(), DType::kBool, "tril");
  ones.reset();
  return additive(lower, query.dtype());
}

Tensor repeat_interleave(const Tensor& input, Expr times) {
  const KeptShape& shape = input.shape();
  const Tensor row = unsqueeze(input, 2);
  const Tensor wide = expand(row, {shape[0], shape[1], times, shape[2], shape[3]});
  return merge_dims(clone(wide, contiguous(wide.shape())), 1, 2);
}

/// _safe_softmax (SoftMax.cpp, torch 2.13): which scores are minus infinity, which rows are nothing else, and the zero
/// that is written there.
Tensor safe_softmax(Tensor input) {
  constexpr const char* kName = "_safe_softmax";
  const Tensor scores = std::move(input);
  Tape& tape = scores.tape();
  Tensor result = softmax(scores);
  const Tensor masked = workspace(tape, scores.shape().elements(), kName);
  const Tensor rows = workspace(tape, scores.size(0) * scores.size(1) * scores.size(2), kName);
  const Tensor zero = workspace(tape, size_of(result.dtype()), kName);
  return result;
}

// The ops of _scaled_dot_product_attention_math, in fp32 whatever the inputs are; its locals live to its end. It
// returns the weights too, which are cast first.
Tensor math(const Tensor& query, const Tensor& key, const Tensor& value, Tensor mask, double p, bool is_causal) {
  Tape& tape = query.tape();
  const Tensor query_full = to(query, DType::kFloat32);
  const Tensor key_full = to(key, DType::kFloat32);
  const Tensor value_full = to(value, DType::kFloat32);
  const Tensor scaled = mul_scalar(query_full);
  if (is_causal) mask = causal_mask(tape, scaled);
  Tensor key_expanded = key_full;
  Tensor value_expanded = value_full;
  if (!identical(query.size(1), key.size(1))) {
    const Expr times = exact_div(query.size(1), key.size(1));
    key_expanded = repeat_interleave(key_full, times);
    value_expanded = repeat_interleave(value_full, times);
  }
  Tensor attention = matmul(scaled, mul_scalar(transpose(key_expanded, 2, 3)));
  if (mask) attention = add_in_place(std::move(attention), mask);  // on shapes alone PyTorch makes a new one
  attention = dropout(safe_softmax(std::move(attention)), p);
  const Tensor weights = to(attention, query.dtype());
  return to(matmul(attention, value_expanded), query.dtype());
}

/// The same of one head of keys and values under a mask.
Tensor broadcast_math(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask) {
  const Tensor query_full = to(query, DType::kFloat32);
  const Tensor key_full = to(key, DType::kFloat32);
  const Tensor value_full = to(value, DType::kFloat32);
  const Tensor scaled = mul_scalar(query_full);
  Tensor attention = matmul_broadcast(scaled, mul_scalar(transpose(key_full, 2, 3)));
  attention = safe_softmax(add_in_place(std::move(attention), mask));
  const Tensor weights = to(attention, query.dtype());
  return to(matmul_broadcast(attention, value_full), query.dtype());
}

/// Where PyTorch prefers cuDNN's kernel to its own flash (check_prefer_cudnn_attention, check_cudnn_tensor_shapes; of
/// wheels for CUDA 13): Hopper and data-center Blackwell, heads in whole steps of 8 up to 256 or 128 wide, and more
/// than one token.
bool prefers_cudnn(const Tensor& query, const Tensor& key, Expr width_by_eights) {
  const Tape& tape = query.tape();
  const int capability = tape.processor.compute_capability;
  if (capability / 10 != 9 && capability / 10 != 10) return false;
  const int64_t widest = capability == 90 ? 256 : 128;
  const auto number = [&](Expr size) { return evaluate(size, tape.symbol_values); };
  return identical(query.size(-1), width_by_eights) && number(query.size(-1)) <= widest && number(query.size(2)) > 1 &&
         number(key.size(2)) > 1;
}

bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

}  // namespace

Tensor scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor mask, double p, bool is_causal,
                                    const KernelSizes& sizes) {
  // Arguments are cast from right to left.
  if (mask && is_floating(mask.dtype())) mask = to_low_precision(std::move(mask));
  value = to_low_precision(std::move(value));
  key = to_low_precision(std::move(key));
  query = to_low_precision(std::move(query));
  const Tensor q = std::move(query);
  const Tensor k = std::move(key);
  const Tensor v = std::move(value);
  Tape& tape = q.tape();
  const bool autocast = std::exchange(tape.autocast.enabled, false);  // what is inside runs without it
  if (mask && mask.dtype() == DType::kBool) mask = additive(mask, q.dtype());
  const auto number = [&](Expr size) { return evaluate(size, tape.symbol_values); };
  const bool is_even =
      number(q.size(-1)) == number(v.size(-1));  // also where one is a sum of what the other is by itself
  const bool fits_flash = is_half(q.dtype()) && !mask && is_even && sizes.kernels.flash;
  const bool fits_efficient = identical(q.size(1), k.size(1)) && sizes.kernels.efficient(q.dtype()).exists;
  const bool fits_cudnn = fits_flash && prefers_cudnn(q, k, sizes.head_dim);
  Tensor output = fits_cudnn       ? cudnn(q, k, v, is_causal)
                  : fits_flash     ? flash(q, k, v, is_causal, sizes.head_dim, sizes.columns)
                  : fits_efficient ? efficient(q, k, v, std::move(mask), is_causal, sizes)
                                   : math(q, k, v, mask, p, is_causal);
  tape.autocast.enabled = autocast;
  return output;
}

Tensor broadcast_attention(Tensor query, Tensor key, Tensor value, Tensor mask) {
  value = to_low_precision(std::move(value));
  key = to_low_precision(std::move(key));
  query = to_low_precision(std::move(query));
  Tape& tape = query.tape();
  const bool autocast = std::exchange(tape.autocast.enabled, false);
  if (mask.dtype() == DType::kBool) mask = additive(mask, query.dtype());
  Tensor output = broadcast_math(query, key, value, mask);
  tape.autocast.enabled = autocast;
  return output;
}

}  // namespace peakmem
