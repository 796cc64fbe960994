// A product of stacks of matrices added to another stack: what PEFT makes of a parameter of several experts.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// torch.baddbmm(self, batch1, batch2, alpha=...) of 3-D tensors; with an alpha of 1, which is not `scaled`, the
/// backward pass multiplies by nothing.
Tensor baddbmm(const Tensor& self, const Tensor& batch1, const Tensor& batch2, bool scaled);

}  // namespace peakmem
