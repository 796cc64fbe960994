// Rows in the places where a mask is true.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// self.clone() with `features` [places, C] added in the places of [B, T, C] where a mask is true, by reading what is
/// there and putting the sums back.
Tensor add_at_places(Tensor self, const Tensor& mask, const Tensor& features);

}  // namespace peakmem
