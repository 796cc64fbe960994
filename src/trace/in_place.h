// Sums that are written over one of their operands.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// self += other: what is added may have another dtype, and is broadcast.
Tensor add_in_place(Tensor self, const Tensor& other);

}  // namespace peakmem
