// The ops of a mixture's routing as Megatron-Core writes it (0.16.1, transformer/moe/moe_utils.py).
#pragma once

#include <vector>

#include "trace/ops.h"

namespace peakmem::mcore {

/// RouterGatingLinearFunction: [tokens, hidden] by [experts, hidden].
Tensor gating_linear(Tensor input, const Tensor& weight);
/// torch.zeros_like(like).scatter(1, indices, source)
Tensor scatter_source(const Tensor& like, const Tensor& indices, const Tensor& source);
/// torch.zeros_like(like).int().scatter(1, indices, 1).bool()
Tensor chosen_map(const Tensor& like);
/// MoEAuxLossAutoScaler: hands `output` on, and its backward pass gives the loss a gradient.
Tensor attach_loss(const Tensor& output, const Tensor& loss);
/// apply_router_token_dropping (moe_utils.py): probabilities of those that a capacity lets through, and which these
/// are.
struct Capped {
  Tensor probs, map;
};
Capped drop_beyond(const Tensor& probs, Expr capacity);
/// x.masked_select(mask) of so many elements.
Tensor masked_select(const Tensor& input, const Tensor& mask, Expr count);
/// x.index_select(0, indices)
Tensor index_select(const Tensor& input, const Tensor& indices);
/// torch.zeros([rows, ...]).scatter_add_(0, indices, source)
Tensor scatter_add(const Tensor& source, const Tensor& indices, Expr rows);
/// _AllToAll of tensor_parallel/mappings.py among so many ranks: `rows` come for those that go.
Tensor all_to_all(const Tensor& input, Expr rows, int64_t ranks);
/// torch.split along the first dimension: views, whose gradients become one tensor when all are there.
std::vector<Tensor> split_first(const Tensor& input, const std::vector<Expr>& lengths);
/// torch.cat along the first dimension: gradients are views.
Tensor cat_first(std::vector<Tensor> parts);

}  // namespace peakmem::mcore
