// A trace's allocations through the caching allocator: what torch.cuda.max_memory_reserved will say.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "device/allocator.h"
#include "trace/program.h"

namespace peakmem {

/// One allocation that a replay asks for, and what was in use before.
struct AllocationRequest {
  int32_t step = 0;      // as they come: 3 is the steady step once more
  int32_t phase = -1;    // of the program
  int32_t storage = -1;  // of the program; -1: the workspace of a cuBLAS handle
  int64_t bytes = 0;
  CachingAllocator::Stats before;
};

/// The highest levels of a replay, and how many steps it took until a step reserved nothing more.
struct Replayed {
  CachingAllocator::Stats peak;    // over all steps
  CachingAllocator::Stats steady;  // of the last step; on a full card it may reserve less than those before
  int32_t steps = 0;
  std::vector<int32_t> retries;              // by step, the first one's first: how often what was cached had to go
  bool settled = false;                      // the last step reserved nothing more
  bool is_whole = false;                     // the program was all of a job, and not its first layers
  std::optional<AllocationRequest> refused;  // the first allocation that could not be served, where the replay ends
};

/// Replays building the model, step 1, and step 2 again and again until the reserved bytes stay, five steps at most.
/// `program`: a trace in numbers that unrolls its layers (every turn stands for itself), since the allocator's state
/// after a turn depends on all before. `workspace_bytes`: of one cuBLAS handle; the forward pass's thread and
/// autograd's each take one at their first matrix product and keep it. `capacity`: what the device has for segments;
/// where it is reached, cached ones are given back, as the allocator does before it gives up.
Replayed replay(const Program& program, const AllocatorOptions& options, int64_t workspace_bytes,
                int64_t capacity = std::numeric_limits<int64_t>::max());

/// Whether the device was so full that cached segments had to go.
bool has_retries(const Replayed& replayed);

/// Every allocation of step 1 and of the steady step after it, in order, where the device has room for all.
std::vector<AllocationRequest> requests(const Program& program, const AllocatorOptions& options,
                                        int64_t workspace_bytes);

}  // namespace peakmem
