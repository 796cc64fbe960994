// What the GPU and the dtype make of attention and of arithmetic.
#pragma once

#include "request/request.h"

namespace peakmem {

/// Says which kernel scaled_dot_product_attention takes where that costs memory, and what the GPU cannot do as it is
/// asked: assumptions and warnings of a job that is read.
void say_of_hardware(Request& request);

}  // namespace peakmem
