// Megatron-Core's contiguous buffers (0.16.1, distributed/param_and_grad_buffer.py): where each parameter lies in the
// buffer of gradients, and which part of it is whose under the distributed optimizer.
#pragma once

#include <cstdint>
#include <vector>

#include "megatron/modules.h"

namespace peakmem::mcore {

/// Elements [start, end) of a buffer.
struct Range {
  int64_t start = 0;
  int64_t end = 0;
  int64_t size() const { return end - start; }
};

/// A parameter in its buffer.
struct Slot {
  size_t parameter = 0;  // of the tape's
  Range range;
  size_t bucket = 0;
};

/// A part of a parameter that this rank updates.
struct Shard {
  size_t parameter = 0;
  int64_t elements = 0;
};

/// One buffer: parameters from the last to the first, in buckets.
struct Buffer {
  std::vector<Slot> slots;
  std::vector<Range> buckets;
  int64_t elements = 0;
  int64_t ranks = 1;  // that hold copies of it
  Tensor parameters;  // under the distributed optimizer
  Tensor gradients;
};

/// How a buffer is cut: `bucket_elements` at which a bucket is full (0: one bucket), and the padding and buckets of
/// their own that the distributed optimizer wants.
struct BufferRules {
  int64_t ranks = 1;
  int64_t bucket_elements = 0;
  bool distributed = false;
};

/// Elements of a parameter of the tape, by number.
int64_t elements_of(const Tape& tape, size_t parameter);
/// The layout for parameters `which` in the order they were made; their tensors are not there yet.
Buffer lay_out(const Tape& tape, const std::vector<Trait>& traits, const std::vector<size_t>& which,
               const BufferRules& rules);
/// What of each parameter rank number `rank` of the buffer's updates, in the buffer's order.
std::vector<Shard> shards_of(const Buffer& buffer, int64_t rank);

}  // namespace peakmem::mcore
