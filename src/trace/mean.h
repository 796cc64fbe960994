// Means over one dimension.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// x.mean(dim), of any dimension but the first.
Tensor mean_dim(Tensor self, int dim);

}  // namespace peakmem
