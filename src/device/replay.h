// A trace's allocations through the caching allocator: what torch.cuda.max_memory_reserved will say.
#pragma once

#include <cstdint>
#include <limits>

#include "device/allocator.h"
#include "trace/program.h"

namespace peakmem {

/// The highest levels of a replay, and how many steps it took until a step reserved nothing more.
struct Replayed {
  CachingAllocator::Stats peak;    // over all steps
  CachingAllocator::Stats steady;  // of the last step; `reserved` never falls
  int32_t steps = 0;
  bool settled = false;  // the last step reserved nothing more
  bool out_of_memory = false;
};

/// Replays building the model, step 1, and step 2 again and again until the reserved bytes stay, five steps at most.
/// `program`: a trace in numbers that unrolls its layers (every turn stands for itself), since the allocator's state
/// after a turn depends on all before. `workspace_bytes`: of one cuBLAS handle; the forward pass's thread and
/// autograd's each take one at their first matrix product and keep it. `capacity`: what the device has for segments;
/// where it is reached, cached ones are given back, as the allocator does before it gives up.
Replayed replay(const Program& program, const AllocatorOptions& options, int64_t workspace_bytes,
                int64_t capacity = std::numeric_limits<int64_t>::max());

}  // namespace peakmem
