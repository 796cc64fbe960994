// Megatron-Core's own autograd functions (0.16.1, tensor_parallel/ and fusions/): what each allocates and saves.
//
// Inputs go by value and are let go before a function returns, as in trace/ops.h. A group of one rank does nothing.
#pragma once

#include "megatron/global_buffer.h"
#include "megatron/weight_gradients.h"
#include "trace/ops.h"

namespace peakmem::mcore {

/// LinearWithGradAccumulationAndAsyncCommunication (layers.py): input [..., in], weight [out, in], bias [out] or none.
/// Of an input that is a part of the sequence, `gathers` of which make the whole, the whole is gathered into the global
/// buffer, forward and backward, and the gradient is scattered.
Tensor linear(Tensor input, const Tensor& weight, const Tensor& bias, int64_t gathers, GlobalBuffer& buffer,
              WeightGradients& gradients, DeferredProducts* deferred = nullptr);

/// scatter_to_sequence_parallel_region (mappings.py): this rank's part of the first dimension, a view.
Tensor scatter_first(Tensor input, int64_t ranks);
/// gather_from_sequence_parallel_region: all ranks' parts, in a new tensor or the global buffer.
Tensor gather_first(Tensor input, int64_t ranks, GlobalBuffer* buffer = nullptr);
/// reduce_scatter_to_sequence_parallel_region.
Tensor reduce_scatter_first(Tensor input, int64_t ranks);

/// vocab_parallel_cross_entropy (cross_entropy.py): logits [s, b, vocab / ranks], labels [s, b]; a loss for each, fp32.
Tensor vocab_parallel_cross_entropy(Tensor logits, const Tensor& labels);
/// fused_vocab_parallel_cross_entropy (fusions/fused_cross_entropy.py) as compiled (torch 2.13): the same in four
/// functions.
Tensor fused_vocab_parallel_cross_entropy(Tensor logits, const Tensor& labels);

/// product.view(sizes).masked_fill_(mask, -10000): of what is filled in place through a view, autograd copies the whole
/// gradient (CopySlices, torch 2.13).
Tensor masked_fill_view(Tensor product, const Shape& sizes, const Tensor& mask);
/// scores.masked_fill_(mask, -10000)
Tensor masked_fill_in_place(Tensor scores, const Tensor& mask);
/// ScaledUpperTriangMaskedSoftmax and ScaledMaskedSoftmax (fused_softmax.py): kernels that keep their result.
Tensor fused_softmax(Tensor scores);
/// GeLUFunction (fused_bias_gelu.py) as compiled: keeps input and bias.
Tensor bias_gelu(Tensor input, const Tensor& bias);
/// SwiGLUFunction and BiasSwiGLUFunction (fused_bias_swiglu.py) as compiled: keep the input [..., 2n] and the bias, if
/// there is one.
Tensor swiglu(Tensor input, const Tensor& bias);
/// WeightedSwiGLUFunction as compiled: keeps the input [n, 2f] and the weights [n, 1].
Tensor weighted_swiglu(Tensor input, const Tensor& weights);
/// x.repeat_interleave(count, dim) of a dimension.
Tensor repeat_interleave(Tensor input, Expr count, int dim);

}  // namespace peakmem::mcore
