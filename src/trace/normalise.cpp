#include "trace/embedding_workspace.h"
#include "trace/ops.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

DType statistics_dtype(DType input) { return is_floating(input) ? DType::kFloat32 : input; }

// Inputs: input 0, weight 1, bias 2. All three gradients come from one kernel.
void layer_norm_backward(Gradients& g) {
  const Tensor x = g.saved(0);
  constexpr const char* kName = "native_layer_norm_backward";
  Tape& tape = x.tape();
  if (g.needs(0)) g.out[0] = tape.make(contiguous(x.shape()), x.dtype(), kName);
  if (g.needs(1)) g.out[1] = tape.make(g.input_shape(1), g.node.next[1].node->dtype, kName);
  if (g.needs(2)) g.out[2] = tape.make(g.input_shape(2), g.node.next[2].node->dtype, kName);
}
const Op kLayerNorm = {"native_layer_norm", layer_norm_backward};

void softmax_backward(Gradients& g) {
  const DType input = g.node.next[0].node->dtype;  // half when the kernel made fp32 of it
  Tape& tape = g.in[0].tape();
  g.out[0] = tape.make(contiguous(g.node.shape()), input, "_softmax_backward_data");
  // grad * output (softmax_backward_cuda_out in SoftMax.cu, torch 2.13)
  workspace(tape, dense_bytes(g.in[0]), "_softmax_backward_data");
}
const Op kSoftmax = {"_softmax", softmax_backward};

void log_softmax_backward(Gradients& g) {
  const DType input = g.node.next[0].node->dtype;
  g.out[0] = g.in[0].tape().make(contiguous(g.node.shape()), input, "_log_softmax_backward_data");
}
const Op kLogSoftmax = {"_log_softmax", log_softmax_backward};

/// With a dtype the input is cast first, except that the CUDA kernel reads half and writes fp32 by itself; autocast
/// asks for fp32 where no dtype is given.
Tensor normalised(const Op& op, Tensor input, const DType* dtype) {
  Tensor x = std::move(input);
  Tape& tape = x.tape();
  constexpr DType kFull = DType::kFloat32;
  if (dtype == nullptr && tape.autocast.enabled) dtype = &kFull;
  const DType made = dtype != nullptr ? *dtype : x.dtype();
  const bool fused_cast = x.dtype() == DType::kFloat16 && made == kFull;
  if (!fused_cast) x = to(std::move(x), made);
  Node* node = tape.record(op, {&x});
  Tensor result = tape.make(preserved(x.shape()), made, op.name);
  Tape::attach(node, result);
  tape.save_output(node, result);
  return result;
}

void dropout_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(preserved(g.in[0].shape()), g.in[0].dtype(), "native_dropout_backward");
}
const Op kDropout = {"native_dropout", dropout_backward};

void embedding_backward(Gradients& g) {
  const Node& weight = *g.node.next[0].node;
  const Expr tokens = g.saved(0).shape().elements();
  g.out[0] = run_embedding_backward(g.in[0].tape(), tokens, weight.shape(), g.in[0].dtype());
}
const Op kEmbedding = {"embedding", embedding_backward};

}  // namespace

Tensor layer_norm(Tensor input, const Tensor& weight, const Tensor& bias) {
  // Arguments are cast from right to left, weights in half too.
  const Tensor b = bias ? to_full_precision(bias) : bias;
  const Tensor w = weight ? to_full_precision(weight) : weight;
  const Tensor x = to_full_precision(std::move(input));
  Tape& tape = x.tape();
  Node* node = tape.record(kLayerNorm, {&x, &w, &b});
  tape.save(node, x);
  if (w) tape.save(node, w);
  if (b) tape.save(node, b);
  Tensor result = tape.make(contiguous(x.shape()), x.dtype(), kLayerNorm.name);
  Tape::attach(node, result);
  const DType statistics = statistics_dtype(x.dtype());
  const Tensor mean = tape.make(reduced_last(x.shape()), statistics, kLayerNorm.name);
  const Tensor rstd = tape.make(reduced_last(x.shape()), statistics, kLayerNorm.name);
  tape.save(node, mean);
  tape.save(node, rstd);
  return result;
}

Tensor softmax(Tensor input, const DType* dtype) { return normalised(kSoftmax, std::move(input), dtype); }
Tensor log_softmax(Tensor input, const DType* dtype) { return normalised(kLogSoftmax, std::move(input), dtype); }

Tensor dropout(Tensor input, double p) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  if (p == 0.0 || !tape.training) return x;
  Node* node = tape.record(kDropout, {&x});
  // The kernel makes the mask first (dropout_cuda in Dropout.cu, torch 2.13).
  const Tensor mask = tape.make(preserved(x.shape()), DType::kBool, kDropout.name);
  Tensor result = tape.make(preserved(x.shape()), x.dtype(), kDropout.name);
  Tape::attach(node, result);
  tape.save(node, mask);
  return result;
}

Tensor embedding(const Tensor& indices, const Tensor& weight) {
  Tape& tape = weight.tape();
  Node* node = tape.record(kEmbedding, {&weight});
  tape.save(node, indices);
  Shape shape = indices.shape();
  Shape result_shape;
  result_shape.rank = shape.rank + 1;
  for (int i = 0; i < shape.rank; ++i) result_shape.size[static_cast<size_t>(i)] = shape[i];
  result_shape.size[static_cast<size_t>(shape.rank)] = weight.size(1);
  Tensor result = tape.make(contiguous(result_shape), weight.dtype(), kEmbedding.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
