// torch.gather and torch.Tensor.repeat, as attention with relative positions uses them.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// torch.gather(self, -1, index): [.., n] becomes [.., index.size(-1)].
Tensor gather_last(const Tensor& self, const Tensor& index);

/// x.repeat(times, 1, ...) along the first dimension.
Tensor repeat_rows(const Tensor& self, Expr times);

}  // namespace peakmem
