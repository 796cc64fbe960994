#include "estimate/failure.h"

#include <algorithm>

#include "device/cublas.h"
#include "estimate/device.h"
#include "estimate/reserved.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

constexpr int64_t kMaxMicroBatches = 3;  // from the second on all are the same

/// The phase and the place of an allocation; `storage` -1 is a cuBLAS workspace.
Allocation place_of(const Program& program, int32_t phase, int32_t storage) {
  const Phase& within = program.phases[static_cast<size_t>(phase)];
  Allocation allocation = {within.step, within.micro, within.name};
  allocation.op = "the workspace of a cuBLAS handle";
  if (storage < 0) return allocation;
  const Storage& made = program.storages[static_cast<size_t>(storage)];
  allocation.module = program.place(made);
  allocation.op = made.made_by;
  return allocation;
}

/// The first event of a segment's turns that raises `level` past `limit`, or -1; `level` then is that before it, else
/// that after all turns.
int32_t crossing(const Program& program, const Segment& segment, int64_t limit, int64_t& level) {
  const int64_t turns = program.turns[static_cast<size_t>(segment.turn)].count.number();
  int64_t change = 0;
  int64_t highest = 0;
  const auto bytes_of = [&](const Event& event) {
    const Storage& storage = program.storages[static_cast<size_t>(event.storage)];
    return of_allocator(storage, storage.bytes.number());
  };
  for (int32_t i = segment.first; i < segment.last; ++i) {
    const Event& event = program.events[static_cast<size_t>(i)];
    change += event.birth ? bytes_of(event) : -bytes_of(event);
    highest = std::max(highest, change);
  }
  const int64_t room = limit - level - highest;  // before the first turn, below its top
  const int64_t passed = room >= 0 ? (change > 0 ? std::min(turns, room / change + 1) : turns) : 0;
  level += passed * change;
  if (passed == turns) return -1;
  for (int32_t i = segment.first;; ++i) {
    const Event& event = program.events[static_cast<size_t>(i)];
    if (event.birth && level + bytes_of(event) > limit) return i;
    level += event.birth ? bytes_of(event) : -bytes_of(event);
  }
}

/// By levels: what may be allocated is the GPU's memory less what is reserved beside it in proportion.
Failure by_levels(const Job& job, const Gpu& gpu, const Report& report) {
  const Program program = trace_step(job, number_dims(job));
  const double share = static_cast<double>(report.allocated_bytes) / static_cast<double>(report.reserved.likely);
  const auto limit = static_cast<int64_t>(static_cast<double>(segment_capacity(gpu)) * share);
  Failure failure;
  int64_t level = cublas_handles(program) * cublas_workspace_bytes(&gpu);
  for (size_t p = 0; p < program.phases.size(); ++p)
    for (int32_t s = program.phases[p].first_segment; s < program.phases[p].last_segment; ++s) {
      const Segment& segment = program.segments[static_cast<size_t>(s)];
      const int32_t at = crossing(program, segment, limit, level);
      if (at < 0) continue;
      const int32_t storage = program.events[static_cast<size_t>(at)].storage;
      failure.allocation = place_of(program, static_cast<int32_t>(p), storage);
      failure.allocation.bytes = program.storages[static_cast<size_t>(storage)].bytes.number();
      failure.allocation.tried_bytes = CachingAllocator({}).segment_of(failure.allocation.bytes);
      failure.allocation.allocated_bytes = level;
      failure.allocation.reserved_bytes = std::max(level, segment_capacity(gpu) - failure.allocation.tried_bytes);
      return failure;
    }
  return failure;
}

std::optional<Failure> by_replay(const Job& job, const Gpu& gpu, const AllocatorOptions& options) {
  const std::optional<Program> program = unrolled_trace(job);
  if (!program) return std::nullopt;
  const Replayed replayed = replay(*program, options, cublas_workspace_bytes(&gpu), segment_capacity(gpu));
  if (!replayed.refused) return std::nullopt;
  return Failure{allocation_of(*program, *replayed.refused, options)};
}

}  // namespace

std::optional<Program> unrolled_trace(const Job& job) {
  if (job.description.layers + job.description.decoder_layers > kMaxReplayedLayers) return std::nullopt;
  if (job.recording && !(is_whole(*job.recording) && can_be_replayed(*job.recording, job.letters))) return std::nullopt;
  Job bounded = job;
  bounded.recipe.accumulate = std::min(bounded.recipe.accumulate, kMaxMicroBatches);
  return trace_step(bounded, number_dims(bounded), true);
}

Allocation allocation_of(const Program& program, const AllocationRequest& request, const AllocatorOptions& options) {
  Allocation allocation = place_of(program, request.phase, request.storage);
  allocation.step = request.step;
  allocation.bytes = request.bytes;
  allocation.tried_bytes = CachingAllocator(options).segment_of(request.bytes);
  allocation.allocated_bytes = request.before.allocated;
  allocation.reserved_bytes = request.before.reserved;
  return allocation;
}

Failure point_of_failure(const Job& job, const Gpu& gpu, const std::optional<AllocatorOptions>& allocator,
                         const Report& report) {
  std::optional<Failure> failure = allocator ? by_replay(job, gpu, *allocator) : std::nullopt;
  if (!failure) {
    failure = by_levels(job, gpu, report);
    failure->approximate =
        !allocator ? "only bounds of the reserved memory were asked for, so this is where the levels pass the GPU's"
                   : "by the levels of the traced layers, with as much reserved beside them as is likely";
  }
  failure->capacity_bytes = gpu.memory_bytes;
  failure->free_bytes = std::max<int64_t>(0, segment_capacity(gpu) - failure->allocation.reserved_bytes);
  return *failure;
}

}  // namespace peakmem
