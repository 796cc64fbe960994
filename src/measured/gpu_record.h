// Records of PyTorch's own caching allocator (oracle/gpu/README.md): what was run on which GPU, and what it took.
#pragma once

#include <string>

#include "device/allocator.h"
#include "device/gpu.h"
#include "measured/record.h"

namespace peakmem {

/// One case as torch's CUDA build ran it. All sizes are bytes.
struct GpuRecord {
  Job job;
  Gpu gpu;                      // with the memory of the record, all of which was there for segments
  AllocatorOptions allocator;   // as PYTORCH_ALLOC_CONF set it
  std::string group;            // "a100-80gb", "a100-80gb, expandable segments", "a100-80gb, full"
  int64_t allocated_bytes = 0;  // torch.cuda.max_memory_allocated
  int64_t reserved_bytes = 0;   // torch.cuda.max_memory_reserved
  bool out_of_memory = false;   // it ended with torch.OutOfMemoryError
};

/// Whether a line of a .jsonl file is one; kernels' records are not.
bool is_gpu_record(const Value& line);

/// The record of such a line. What is not modelled is an error.
Result<GpuRecord> read_gpu_record(const Value& line);

}  // namespace peakmem
