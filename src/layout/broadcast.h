// What a process group's broadcast of many tensors makes beside them (csrc/distributed/c10d/comm.cpp,
// broadcast_coalesced, torch 2.13).
#pragma once

#include <utility>
#include <vector>

#include "trace/tape.h"

namespace peakmem {

/// Tensors of a dtype and their bytes, as they are sent in one piece.
using Messages = std::vector<std::pair<DType, int64_t>>;

/// A message is full when it has reached this, by DDP's and FSDP1's default (broadcast_bucket_size).
inline constexpr int64_t kFullMessage = int64_t{250} << 20;

/// The tensors, one after another, as messages of one dtype each.
Messages messages_of(const std::vector<std::pair<DType, int64_t>>& tensors);

/// Each is copied into one piece, two such pieces at a time.
void broadcast(Tape& tape, const Messages& messages);

}  // namespace peakmem
