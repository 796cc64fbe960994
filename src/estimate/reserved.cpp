#include "estimate/reserved.h"

#include <algorithm>

#include "estimate/device.h"

namespace peakmem {
namespace {

constexpr int64_t kMaxReplayedMicroBatches = 3;
constexpr int64_t kLargestScaled = int64_t{1} << 60;  // shares of more leave 63 bits

/// The first layers of a stack, as many as are replayed; how many they are.
int64_t bound(std::vector<LayerRun>& runs) {
  int64_t left = kMaxReplayedLayers;
  for (LayerRun& run : runs) left -= run.layers = std::min(run.layers, left);
  std::erase_if(runs, [](const LayerRun& run) { return run.layers == 0; });
  return kMaxReplayedLayers - left;
}

Job bounded(Job job) {
  job.recipe.accumulate = std::min(job.recipe.accumulate, kMaxReplayedMicroBatches);
  Description& d = job.description;
  d.layers = bound(d.runs);
  d.decoder_layers = bound(d.decoder_runs);
  return job;
}

/// What the allocator reserves beside its blocks, for the whole job.
int64_t beside_blocks(int64_t allocated_bytes, const Replayed& replayed) {
  const int64_t beside = replayed.peak.reserved - replayed.steady.rounded;
  if (replayed.steady.rounded >= allocated_bytes || replayed.steady.rounded == 0) return beside;
  const double times = static_cast<double>(allocated_bytes) / static_cast<double>(replayed.steady.rounded);
  return static_cast<int64_t>(static_cast<double>(beside) * times);
}

}  // namespace

Replayed replay_job(const Job& job, const Gpu* gpu, const AllocatorOptions& options) {
  const Job replayed = bounded(job);
  const Program program = trace_step(replayed, number_dims(replayed), true);
  const int64_t workspace = cublas_workspace_bytes(gpu);
  const bool is_whole = replayed.description.layers == job.description.layers &&
                        replayed.description.decoder_layers == job.description.decoder_layers;
  if (gpu == nullptr || !is_whole) return replay(program, options, workspace);
  // A full card makes the allocator give back what it only caches; where that does not help, what it would have taken.
  const Replayed on_card = replay(program, options, workspace, segment_capacity(*gpu));
  return on_card.refused ? replay(program, options, workspace) : on_card;
}

Range reserved_range(int64_t allocated_bytes, const Replayed& replayed) {
  Range range = reserved_range(allocated_bytes);
  if (replayed.refused || allocated_bytes > kLargestScaled) return range;
  range.likely = in_segments(allocated_bytes + beside_blocks(allocated_bytes, replayed));
  range.high = std::max(range.high, range.likely);
  range.why = "the steps' allocations replayed through the caching allocator's rules, " +
              std::to_string(replayed.steps) +
              " steps; at least what is allocated, and up to 1.20 of it, the median "
              "of published Megatron runs, where shapes vary or libraries take workspaces that are not traced";
  return range;
}

}  // namespace peakmem
