// BLOOM's own activation.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// GeLUFunction (transformers 5.23, models/bloom/modeling_bloom.py): keeps its input alone, and works out both ways op
/// by op.
Tensor bloom_gelu(Tensor input);

}  // namespace peakmem
