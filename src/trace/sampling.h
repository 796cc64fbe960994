// What choosing experts by scores is made of (Llama 4).
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// self.scatter_(-1, index, source) of what wants no gradient.
Tensor scatter_into(Tensor self, const Tensor& index, const Tensor& source);

}  // namespace peakmem
