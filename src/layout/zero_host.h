// What one rank of ZeRO keeps on the host where its optimizer or its parameters are there: buffers made once, beside
// those of the data loader and of Python (DeepSpeed 0.19.8, runtime/zero/stage_1_and_2.py, stage3.py).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "recipe/job.h"

namespace peakmem {

/// Buffers of a kind. `pinned` ones are page-locked, and PyTorch's pinned allocator rounds each up to a power of two.
struct HostBuffers {
  std::string_view name;
  int64_t bytes = 0;  // as they were asked for
  int64_t taken = 0;  // as they were given
  bool pinned = false;
};

/// Sums are bytes as they were given.
struct HostMemory {
  std::vector<HostBuffers> buffers;
  int64_t pinned = 0;
  int64_t pageable = 0;
};

/// Of one rank; none where nothing is on the host.
std::optional<HostMemory> host_memory(const Job& job);

}  // namespace peakmem
