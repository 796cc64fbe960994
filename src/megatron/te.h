// TransformerEngine's modules as Megatron-Core's TE spec uses them without fp8 (2.20.2, pytorch/module/linear.py,
// layernorm_linear.py, pytorch/ops/basic/layer_norm.py): what each allocates, saves and lets go early.
//
//     input ─► norm ─► normalised ─► product ─► output        saved: input, a mean and a root for each row, normalised
//
// Inputs go by value, as in functions.h. A group of one rank does nothing.
#pragma once

#include <vector>

#include "megatron/functions.h"

namespace peakmem::mcore {

/// A norm's parameters; RMSNorm has no bias.
struct NormParameters {
  Tensor weight, bias;
};

/// te.pytorch.Linear, row-parallel: input [..., in], weight [out, in]; its bias is for the caller to add. `scatters`:
/// ranks among which the sum is scattered along the sequence.
Tensor te_linear(Tensor input, const Tensor& weight, int64_t scatters, WeightGradients& gradients);

/// te.pytorch.Linear, column-parallel: `gathers` parts of the sequence make the whole, for the products alone.
Tensor te_column_linear(Tensor input, const Tensor& weight, int64_t gathers, WeightGradients& gradients);

/// te.pytorch.GroupedLinear: rows sorted by whose they are by as many weights [out, in], whose gradients lie in one
/// tensor.
Tensor te_grouped_linear(Tensor input, const std::vector<Tensor>& weights, WeightGradients& gradients);

/// get_cublas_workspace_size_bytes (pytorch/cpp_extensions/gemm.py).
int64_t te_workspace_bytes(const Processor& processor);

/// te.pytorch.LayerNormLinear, column-parallel: `gathers` parts of the sequence make the whole, each normalised where
/// it is.
Tensor te_norm_linear(Tensor input, const NormParameters& norm, const Tensor& weight, const Tensor& bias,
                      int64_t gathers, WeightGradients& gradients);

/// te.pytorch.LayerNorm or RMSNorm.
Tensor te_norm(Tensor input, const NormParameters& norm);

}  // namespace peakmem::mcore
