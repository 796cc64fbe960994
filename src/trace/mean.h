// Means over one dimension.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// x.mean(dim), of any dimension but the first.
Tensor mean_dim(Tensor self, int dim);
/// x.mean([-2, -1]) of [B, C, height, width].
Tensor mean_of_maps(Tensor self);

}  // namespace peakmem
