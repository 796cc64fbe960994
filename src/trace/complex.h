// Complex numbers, as DeepSeek-V2 turns positions; and a copy into a part of a tensor.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// torch.view_as_complex of [..., n, 2] in fp32.
Tensor view_as_complex(Tensor input);
/// torch.view_as_real(x).flatten of the last two: [..., n] becomes [..., 2 n].
Tensor view_as_real(Tensor input);
/// self * other of complex numbers, where other wants no gradient.
Tensor mul_complex(Tensor self, const Tensor& other);

/// base[..., some].copy_(source) along the last dimension, where source may be broadcast to `sizes`.
Tensor copy_into(Tensor base, const Tensor& source);

}  // namespace peakmem
