// torch.cat of more than two.
#pragma once

#include <array>

#include "trace/tape.h"

namespace peakmem {

/// torch.cat((a, b, c), dim)
Tensor cat(const std::array<Tensor, 3>& parts, int dim);

}  // namespace peakmem
