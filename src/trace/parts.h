// A sequence cut into parts and joined again: torch.split and torch.cat of any number of them, of which a node alone
// has no more than three, and rows in another order.
#pragma once

#include <vector>

#include "trace/tape.h"

namespace peakmem {

/// x.split(lengths, dim): views, whose gradients are joined when the first's is there.
std::vector<Tensor> split_in_parts(const Tensor& input, int dim, const std::vector<int64_t>& lengths);
/// torch.cat(parts, dim) of parts that the caller holds.
Tensor cat_parts(const std::vector<Tensor>& parts, int dim);

/// x[rows] along the first dimension, by so many numbers that are on the host.
Tensor take_rows_by_host(Tensor input, Expr rows);

}  // namespace peakmem
