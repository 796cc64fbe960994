// From what PyTorch allocates to what the card must hold.
#pragma once

#include "estimate/report.h"

namespace peakmem {

/// What torch.cuda.max_memory_reserved may say.
Range reserved_range(int64_t allocated_bytes);
/// What nvidia-smi may show: the reserved memory and the CUDA context.
Range device_range(const Range& reserved, const Gpu* gpu);
Verdict verdict(const Range& device, const Gpu& gpu);

}  // namespace peakmem
