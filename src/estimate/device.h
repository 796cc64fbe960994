// From what PyTorch allocates to what the card must hold.
#pragma once

#include "estimate/report.h"

namespace peakmem {

/// Up to the 2 MiB that the caching allocator's segments are multiples of.
int64_t in_segments(int64_t bytes);
/// What torch.cuda.max_memory_reserved may say where nothing was replayed; `low` holds for a replay too.
Range reserved_range(int64_t allocated_bytes);
/// What nvidia-smi may show: the reserved memory and the CUDA context. Managed memory counts where it lies: at the high
/// end all of it is on the device, else it is taken to be evicted, which the driver does where memory is asked for.
/// NCCL's buffers count at the high end, too, for they are an estimate.
Range device_range(const Range& reserved, const Gpu* gpu, int64_t managed_bytes = 0, int64_t nccl_bytes = 0);
/// `headroom_bytes` of the GPU are to stay free.
Verdict verdict(const Range& device, const Gpu& gpu, int64_t headroom_bytes = 0);
/// What a GPU has for segments beside the CUDA context, as large as that is likely to be.
int64_t segment_capacity(const Gpu& gpu);

}  // namespace peakmem
