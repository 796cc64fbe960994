// torch.nn.RMSNorm as one kernel.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// aten's _fused_rms_norm (torch 2.13) over the last dimension: keeps its input, the weight and a number per row in
/// fp32.
Tensor rms_norm(Tensor input, const Tensor& weight);

}  // namespace peakmem
