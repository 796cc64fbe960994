// The ops of a training step, named as PyTorch names them: what each allocates, saves, and does in its backward.
//
// Every op takes its inputs by value and lets them go before it returns, as Python's reference counts do: hand a
// tensor over with std::move (or as a temporary) and it dies with the op unless something else holds it.
// What is saved follows tools/autograd/derivatives.yaml of torch 2.13: mm keeps its left operand only if the right one
// wants a gradient, and so on.
#pragma once

#include <array>
#include <vector>

#include "trace/attention_kernels.h"
#include "trace/tape.h"

namespace peakmem {

// --- views.cpp: no memory of their own, except reshape and contiguous where strides demand a copy
// -----------------------------
Tensor transpose(Tensor input, int a, int b);
Tensor unsqueeze(Tensor input, int dim);
Tensor expand(Tensor input, const KeptShape& sizes);
inline Tensor expand(Tensor input, const Shape& sizes) {
  const KeptShape& kept = input.tape().keep(sizes);
  return expand(std::move(input), kept);
}
/// x.view(..., outer, inner, ...)
Tensor split_dim(Tensor input, int dim, Expr outer, Expr inner);
/// x.reshape: `count` dimensions from `first` on become one.
Tensor merge_dims(Tensor input, int first, int count);
/// What indexing makes of a slice that is the whole: a view of its own.
Tensor alias(Tensor input);
/// x[..., start:start + length] along a dimension.
Tensor slice(Tensor input, int dim, Expr length);
/// x[..., ::2], or x[..., 1::2], which differs in values alone.
Tensor every_second(Tensor input);
/// x.split(x.size(dim) / 3, dim)
std::array<Tensor, 3> split_in_three(Tensor input, int dim);
/// x.split(lengths, dim)
std::array<Tensor, 3> split_in_three(Tensor input, int dim, const std::array<Expr, 3>& lengths);
/// x.chunk(2, dim)
std::array<Tensor, 2> split_in_two(Tensor input, int dim);
/// x.split((first, the rest), dim)
std::array<Tensor, 2> split_in_two(Tensor input, int dim, Expr first);
/// x[:, 0] of [B, T, C].
Tensor select_first(Tensor input);
/// x[0] along the first dimension, or any other single index.
Tensor select_row(Tensor input);
/// x[rows, columns] of [B, T, n]: [rows, n].
Tensor index_rows(Tensor input, const Tensor& rows, const Tensor& columns);
/// x[rows] along the first dimension.
Tensor take_rows(Tensor input, const Tensor& rows);
/// weight[indices] of [rows, C] and [B, T]: [B, T, C], by indexing and not as an embedding.
Tensor index_embeddings(const Tensor& weight, const Tensor& indices);
Tensor contiguous(Tensor input);
Tensor clone(const Tensor& input, const KeptShape& layout);
Tensor detach(const Tensor& input);
/// Reverse of expand: the gradient of a broadcast input.
Tensor sum_to(Tensor input, const KeptShape& sizes);

// --- elementwise.cpp -------------------------------------------------------------------------------------------------
Tensor to(Tensor input, DType dtype);
Tensor add(Tensor self, Tensor other);
/// self += other, which is no larger and may have another dtype.
Tensor add_in_place(Tensor self, const Tensor& other);
Tensor sub(Tensor self, Tensor other);
Tensor mul(Tensor self, Tensor other);
Tensor add_scalar(Tensor self);
Tensor mul_scalar(Tensor self);
Tensor div_scalar(Tensor self);
/// self / other, where other is a number that wants no gradient.
Tensor div(Tensor self, const Tensor& other);
/// self *= number
Tensor mul_scalar_in_place(Tensor self);
Tensor neg(Tensor self);
Tensor pow_scalar(Tensor self);
Tensor rsqrt(Tensor self);
Tensor tanh(Tensor self);
/// torch.exp, which autocast takes in fp32.
Tensor exp(Tensor self);
Tensor sigmoid(Tensor self);
Tensor relu(Tensor self);
Tensor silu(Tensor self);
Tensor gelu(Tensor self);
Tensor erf(Tensor self);
/// Mean over the last dimension, kept as size 1.
Tensor mean_last(Tensor self);
Tensor cat(Tensor a, Tensor b, int dim);
Tensor cat(const std::array<Tensor, 3>& parts, int dim);
/// torch.stack((a, b), dim=-1)
Tensor stack_last(Tensor a, Tensor b);
/// The same of an empty tensor of some dtype and this one: a copy.
Tensor cat_to_empty(DType empty, const Tensor& self, int dim);
/// torch.where(condition, input, number).
Tensor where(const Tensor& condition, Tensor input);

// --- matmul.cpp ------------------------------------------------------------------------------------------------------
/// torch.nn.functional.linear: weight is [out, in].
Tensor linear(Tensor input, const Tensor& weight, const Tensor& bias);
/// input @ weight.T + bias in ops of their own: weight is [out, in], and autocast casts its view every time.
Tensor matmul_transposed(Tensor input, const Tensor& weight, const Tensor& bias);
/// torch.addmm(bias, input as rows, weight): weight is [in, out] (the Conv1D of GPT-2).
Tensor conv1d(Tensor input, const Tensor& weight, const Tensor& bias);
/// torch.bmm of two 3-D tensors, as they are.
Tensor bmm(const Tensor& self, const Tensor& mat2);
/// torch.matmul of [B, T, in] and a matrix [in, out].
Tensor matmul_by_matrix(Tensor input, const Tensor& matrix);
/// torch.mm of two matrices, as autocast casts them.
Tensor matmul_of_rows(Tensor self, Tensor other);
/// torch.matmul of two 4-D tensors.
Tensor matmul(Tensor self, Tensor other);

// --- convolution.cpp -------------------------------------------------------------------------------------------------
/// torch.nn.functional.conv2d: input [B, in, height, width], weight [out, in, ...], output [B, out, rows, columns].
Tensor conv2d(Tensor input, const Tensor& weight, const Tensor& bias, Expr rows, Expr columns);
/// torch.nn.functional.conv1d or conv2d, in groups or not, whatever its stride and padding make of the input's sizes:
/// weight [out, in / groups, ...], output [B, out, ...].
Tensor convolution(Tensor input, const Tensor& weight, const Tensor& bias, const Shape& output);

// --- normalise.cpp ---------------------------------------------------------------------------------------------------
Tensor layer_norm(Tensor input, const Tensor& weight, const Tensor& bias);
/// softmax over the last dimension; with a dtype as torch.softmax(x, dtype=...).
Tensor softmax(Tensor input, const DType* dtype = nullptr);
Tensor log_softmax(Tensor input, const DType* dtype = nullptr);
/// Nothing happens with p = 0.
Tensor dropout(Tensor input, double p);
Tensor embedding(const Tensor& indices, const Tensor& weight);

// --- attention.cpp ---------------------------------------------------------------------------------------------------
/// Sizes as the attention kernels need them: multiples of 8 of the head dim (flash) and of a mask's row (efficient);
/// and which kernels there are.
struct KernelSizes {
  Expr head_dim;
  Expr seq;
  Expr bias_row;  // a multiple of 16 of the mask's row: how its gradient is laid out
  Expr columns;   // of the head dim, as flash's backward rounds it up
  AttentionKernels kernels;
};

/// torch.nn.functional.scaled_dot_product_attention on [B, heads, T, D]; picks flash, efficient or math as CUDA does
/// (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp, torch 2.13). `mask` may be empty; `p` is the dropout.
Tensor scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor mask, double p, bool is_causal,
                                    const KernelSizes& sizes);
/// torch.nn.functional.pad of the last dimension to a width.
Tensor pad_last(Tensor input, Expr width);

// --- fused.cpp: kernels of Liger (liger-kernel 0.8.5)
// ------------------------------------------------------------------
/// LigerRMSNormFunction (ops/rms_norm.py): keeps the input, the weight and a number per row. Its backward writes over
/// the incoming gradient where `in_place`, and sums the weight's from a row for each multiprocessor.
Tensor liger_rms_norm(Tensor input, const Tensor& weight, bool in_place, int64_t multiprocessors);
/// LigerSiLUMulFunction or LigerGELUMulFunction (ops/swiglu.py, ops/geglu.py): act(gate) * up; keeps both, and writes
/// their gradients over them.
Tensor liger_gated(bool is_silu, Tensor gate, Tensor up);
/// LigerRopeFunction (ops/rope.py) of [B, heads, T, D]: turns query and key, and their gradients, where they lie.
std::array<Tensor, 2> liger_rope(Tensor query, Tensor key, const Tensor& cos, const Tensor& sin);

// --- foak.cpp: the foak plug-in's kernels (fms-acceleration-foak 0.7.4, kernels/unsloth) ---------------------
/// Fast_RMS_Layernorm (rms_layernorm.py): keeps the input and a number per row, writes the gradient over the incoming
/// one. The weight never gets one.
Tensor foak_rms_norm(Tensor input, const Tensor& weight);
/// Fast_CrossEntropyLoss (cross_entropy_loss.py) of [rows, classes]: a loss per row; the gradient is written over the
/// logits.
Tensor foak_cross_entropy(Tensor logits, const Tensor& labels);

// --- fused_loss.cpp
// ----------------------------------------------------------------------------------------------------
/// A loop over pieces of rows or columns: the size of all, of each but the last, and how many are traced: one, two,
/// or three for more, since all between the first and the last do the same and leave nothing behind.
struct Pieces {
  Expr all;
  Expr each;
  int64_t count = 1;
};
std::vector<Expr> sizes_of(const Pieces& pieces);

/// LigerFusedLinearCrossEntropyFunction (liger-kernel 0.8.5, ops/fused_linear_cross_entropy.py): the head's product and
/// the loss in chunks of its rows; both gradients are made in the forward pass.
Tensor liger_linear_cross_entropy(Tensor rows, const Tensor& weight, const Pieces& chunks);

// --- chunked_loss.cpp
// --------------------------------------------------------------------------------------------------
/// TRL's loss, and what it gives for every token; what is not asked for is empty.
struct ChunkedLoss {
  Tensor loss, log_probs, entropy, mean_logits, is_top1, mask;
};
/// What is asked of it besides log-probabilities.
struct ChunkedOutputs {
  bool entropy = true;
  bool mean_logits = false;
  bool is_top1 = true;
};

/// ChunkedLogProbFunction and what add_fused_lm_head does around it (TRL 1.16, kernels/chunked_logprob.py,
/// trainer/utils.py): the loss of hidden states [B, T, C] in tiles that the backward pass makes again; `tokens` are
/// those of them with a label.
ChunkedLoss chunked_log_prob_loss(const Tensor& hidden_states, const Tensor& weight, const Tensor& labels,
                                  const Pieces& tokens, const Pieces& vocabulary, const ChunkedOutputs& outputs);

// --- cut_loss.cpp
// ------------------------------------------------------------------------------------------------------
/// LinearCrossEntropyFunction of cut_cross_entropy, as the fork that axolotl installs has it (axolotl-ai-cloud/
/// ml-cross-entropy, cce.py, cce_backward.py, utils.py): the sum of the losses of hidden states [B, T, C], of which
/// `labelled` have a label, without logits; they are made again, block by block, in the backward pass.
Tensor cut_cross_entropy(const Tensor& hidden_states, const Tensor& weight, const Tensor& labels, Expr labelled,
                         bool caps_logits);

// --- log_odds.cpp: what TRL's losses of preferences are made of ------------------------------------------------------
/// selective_log_softmax of TRL 1.16 on a GPU (kernels/logprob_entropy.py): logits [..., V] and index [...] give fp32
/// [...]; beside both it keeps two numbers a row.
Tensor selective_log_softmax(const Tensor& logits, const Tensor& index);
/// torch.minimum of two alike.
Tensor minimum(const Tensor& a, const Tensor& b);
/// log(1 - exp(x)) (trl/experimental/orpo/orpo_trainer.py).
Tensor log1mexp(const Tensor& x);

// --- flash_attention.cpp
// -----------------------------------------------------------------------------------------------
/// Sizes that the flash-attn kernels round up: the head dim to a multiple of 8, and in the backward pass the head dim
/// (head_size_rounded) and the rows (to a multiple of 128).
struct FlashSizes {
  Expr head_dim;
  Expr columns;
  Expr rows;
  bool causal = true;
};

/// flash_attn_func of the flash-attn package (2.8, flash_attn_interface.py and csrc/flash_attn/flash_api.cpp) on
/// [B, T, heads, D] in half precision. Its backward's accumulators are counted, being allocated with torch::empty.
Tensor flash_attention(Tensor query, Tensor key, Tensor value, const FlashSizes& sizes);

// --- loss.cpp --------------------------------------------------------------------------------------------------------
/// torch.nn.functional.cross_entropy(logits [rows, classes], labels [rows]), mean over rows.
Tensor cross_entropy(Tensor logits, const Tensor& labels);
/// torch.nn.functional.logsigmoid(input)
Tensor log_sigmoid(Tensor input);
/// torch.nn.functional.mse_loss(input, target), mean.
Tensor mse_loss(Tensor input, const Tensor& target);
/// torch.nn.functional.binary_cross_entropy_with_logits(input, target), mean.
Tensor binary_cross_entropy(Tensor input, const Tensor& target);

// --- routing.cpp: what a mixture of experts is made of ---------------------------------------------------------------
/// x.sum(dim)
Tensor sum_dim(Tensor self, int dim);
/// x.sum()
Tensor sum_all(Tensor self);
/// x.mean()
Tensor mean_all(Tensor self);
/// torch.topk over the last dimension: values and indices.
std::array<Tensor, 2> topk(Tensor self, Expr k);
/// x.sum(dim=-1, keepdim=True)
Tensor sum_last(const Tensor& self);
/// x /= x.sum(dim=-1, keepdim=True)
Tensor divide_by_sum(Tensor self);
/// self / other, which may be narrower and want a gradient too.
Tensor divide(Tensor self, const Tensor& other);
/// self /= other, which wants a gradient too.
Tensor divide_in_place(Tensor self, const Tensor& other);
/// self.index_add_(0, rows, source)
Tensor index_add(Tensor self, const Tensor& rows, Tensor source);
/// torch.nn.functional.grouped_mm(input [rows, in], weight [groups, out, in].transpose(-2, -1), offs=ends of the
/// groups)
Tensor grouped_linear(Tensor input, const Tensor& weight, const Tensor& ends);

// --- for rules and ops
// -------------------------------------------------------------------------------------------------
/// autocast's cast to the low precision: leaves that want a gradient (weights) are cast once per forward pass and share
/// it, activations every time (cached_cast in aten/src/ATen/autocast_mode.cpp, torch 2.13).
Tensor to_low_precision(Tensor input);
/// autocast's cast to fp32.
Tensor to_full_precision(Tensor input);
DType promote(DType a, DType b);

}  // namespace peakmem
