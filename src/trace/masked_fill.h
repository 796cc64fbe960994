// torch.Tensor.masked_fill.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// input.masked_fill(mask, number): the mask may be broadcast.
Tensor masked_fill(Tensor input, const Tensor& mask);

}  // namespace peakmem
