// Putting numbers into a trace: levels, peaks, and what is live at a peak.
#pragma once

#include <cstdint>
#include <vector>

#include "size/result.h"
#include "trace/program.h"

namespace peakmem {

/// A size in blocks of 512 bytes, as the CUDA caching allocator gives it (CUDACachingAllocator.cpp, kMinBlockSize).
constexpr int64_t in_blocks(int64_t bytes) { return (bytes + 511) / 512 * 512; }
/// What of a storage of so many bytes is a tensor's, and what the caching allocator's, in blocks.
constexpr int64_t of_tensor(const Storage& storage, int64_t bytes) {
  return storage.category == Category::kWorkspace ? 0 : bytes;
}
constexpr int64_t of_allocator(const Storage& storage, int64_t bytes) { return storage.on_host ? 0 : in_blocks(bytes); }

/// Live memory at one moment, in bytes.
struct Level {
  int64_t tensors = 0;  // the sum of storages, as they are, without kernels' workspaces
  int64_t blocks = 0;   // each rounded up to 512, as the CUDA caching allocator counts them, workspaces too
};

/// A moment of a program: after an event, in the first or the last turn of its segment.
struct Moment {
  int32_t phase = -1;
  int32_t segment = -1;
  int32_t event = -1;  // -1: before the phase's first event
  bool last_turn = false;
};

/// A maximum and where it is.
struct Peak {
  int64_t bytes = 0;
  Moment at;
};

/// Levels of one phase. The two peaks (of tensors and of blocks) may lie at different moments.
struct PhaseLevels {
  Level start;
  Level end;
  Peak tensors;
  Peak blocks;
};

/// Every phase's levels, in the program's order.
using Timeline = std::vector<PhaseLevels>;

/// `values`: of the pool's formulas (Pool::evaluate), empty for a program of numbers. Fails where a size passes 63
/// bits.
Result<Timeline> evaluate(const Program& program, const std::vector<int64_t>& values);

/// The highest peak of one step, by `which` of the two measures (&PhaseLevels::tensors or &PhaseLevels::blocks).
Peak highest(const Program& program, const Timeline& timeline, int32_t step, Peak PhaseLevels::* which);

/// How often each storage of the program is live at a moment; a formula where turns are counted by one.
std::vector<Expr> live_counts(const Program& program, const Moment& at);

}  // namespace peakmem
