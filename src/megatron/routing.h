// The ops of a mixture's routing as Megatron-Core writes it (0.16.1, transformer/moe/moe_utils.py).
#pragma once

#include <vector>

#include "trace/ops.h"

namespace peakmem::mcore {

/// RouterGatingLinearFunction: [tokens, hidden] by [experts, hidden], the logits of that dtype. TransformerEngine's
/// product reads other dtypes as they are; PyTorch's has copies made.
Tensor gating_linear(Tensor input, const Tensor& weight, DType dtype, bool te);
/// sinkhorn (moe_utils.py) over logits [tokens, experts] to fp32: one turn of its loop.
Tensor sinkhorn_iteration(const Tensor& logits);
/// scores * map, which are of one shape.
Tensor masked(const Tensor& scores, const Tensor& map);
/// torch.zeros_like(like).scatter(1, indices, source)
Tensor scatter_source(const Tensor& like, const Tensor& indices, const Tensor& source);
/// torch.zeros_like(like).int().scatter(1, indices, 1).bool()
Tensor chosen_map(const Tensor& like);
/// The same two under deterministic algorithms: zeros that index_put_ writes into. What it sorts is not counted.
Tensor put_source(const Tensor& like, const Tensor& indices, const Tensor& source);
Tensor put_map(const Tensor& like, const Tensor& source);
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
/// x.index_select(0, indices); a deterministic backward adds a copy of the gradient.
Tensor index_select(const Tensor& input, const Tensor& indices, bool deterministic);
/// torch.zeros([rows, ...]).index_add_(0, indices, source) under deterministic algorithms, which has the source copied
/// and, unlike scatter_add_, kept.
Tensor index_add_sorted(const Tensor& source, const Tensor& indices, Expr rows);
/// torch.zeros([rows, ...]).scatter_add_(0, indices, source)
Tensor scatter_add(const Tensor& source, const Tensor& indices, Expr rows);
/// _AllToAll of tensor_parallel/mappings.py among so many ranks: `rows` come for those that go.
Tensor all_to_all(const Tensor& input, Expr rows, int64_t ranks);
/// torch.split along the first dimension: views, whose gradients become one tensor when all are there.
std::vector<Tensor> split_first(const Tensor& input, const std::vector<Expr>& lengths);
/// torch.cat along the first dimension: gradients are views.
Tensor cat_first(std::vector<Tensor> parts);

}  // namespace peakmem::mcore
