// What of a GPU decides how much memory kernels take for themselves.
#pragma once

#include <cstdint>

namespace peakmem {

/// A GPU's multiprocessors, the threads that each runs at once, and the shared memory that a thread block may have; an
/// A100's unless told.
struct Processor {
  int compute_capability = 80;  // 75 for sm_75
  int64_t multiprocessors = 108;
  int64_t threads = 2048;
  int64_t shared_kib = 163;
  int64_t sort_tile = 3840;  // pairs of 8-byte keys and values that a block of CUB's radix sort takes

  bool operator==(const Processor&) const = default;
};

}  // namespace peakmem
