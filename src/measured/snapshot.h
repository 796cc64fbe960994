// A snapshot of PyTorch's CUDA caching allocator, as torch.cuda.memory._dump_snapshot() writes it.
#pragma once

#include "format/objects.h"
#include "measured/measurement.h"

namespace peakmem {

/// The live set at the highest moment that the snapshot's history reaches, on the device where that is highest; without
/// a history the one at the dump. `root` is
///
///     {"segments": [{"address", "device", "blocks": [{"size", "requested_size", "address", "state", "frames"}]}],
///      "device_traces": [[{"action": "alloc" | "free_requested" | ..., "addr", "size", "frames"}]]}
///
/// (torch/cuda/memory.py, _snapshot, torch 2.13; a trace's sizes are those asked for, CUDACachingAllocator.cpp,
/// alloc_found_block). Blocks count from their allocation to when their release is asked for, as
/// torch.cuda.memory_allocated counts them. Sizes are those asked for, unless a block does not say (before torch 2.1):
/// then all are in blocks of 512 bytes. What a snapshot cannot know is said in the notes.
Result<Measurement> read_snapshot(const Object& root);

}  // namespace peakmem
