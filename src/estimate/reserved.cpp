#include "estimate/reserved.h"

#include <algorithm>

#include "estimate/device.h"

namespace peakmem {
namespace {

constexpr int64_t kMaxReplayedMicroBatches = 8;
constexpr int64_t kLargestScaled = int64_t{1} << 60;  // shares of more leave 63 bits

/// The first layers of a stack, as many as are replayed; how many they are.
int64_t bound(std::vector<LayerRun>& runs) {
  int64_t left = kMaxReplayedLayers;
  for (LayerRun& run : runs) left -= run.layers = std::min(run.layers, left);
  std::erase_if(runs, [](const LayerRun& run) { return run.layers == 0; });
  return kMaxReplayedLayers - left;
}

/// What the allocator has beside the blocks' bytes, of the `replayed_bytes` that it had at most: for the whole job. A
/// replay of all of it tells apart what folded layers do not (DDP's buckets), so it has the last word on the blocks.
int64_t beside_blocks(int64_t block_bytes, int64_t replayed_bytes, const Replayed& replayed) {
  if (replayed.is_whole) return replayed_bytes - block_bytes;
  const int64_t beside = replayed_bytes - replayed.peak.rounded;
  if (replayed.peak.rounded >= block_bytes || replayed.peak.rounded == 0) return beside;
  const double times = static_cast<double>(block_bytes) / static_cast<double>(replayed.peak.rounded);
  return static_cast<int64_t>(static_cast<double>(beside) * times);
}

}  // namespace

Job replayed_part(const Job& job) {
  Job part = job;
  part.recipe.accumulate = std::min(part.recipe.accumulate, kMaxReplayedMicroBatches);
  Description& d = part.description;
  d.layers = bound(d.runs);
  d.decoder_layers = bound(d.decoder_runs);
  return part;
}

Replayed replay_job(const Job& job, const Gpu* gpu, const AllocatorOptions& options) {
  const Job replayed = replayed_part(job);
  const Program program = trace_step(replayed, number_dims(replayed), true);
  const int64_t workspace = cublas_workspace_bytes(gpu);
  const bool whole = job.recording ? is_whole(*job.recording)
                                   : replayed.description.layers == job.description.layers &&
                                         replayed.description.decoder_layers == job.description.decoder_layers;
  // A full card makes the allocator give back what it only caches; where that does not help, what it would have taken.
  Replayed result;
  const bool on_card = gpu != nullptr && whole;
  if (on_card) result = replay(program, options, workspace, segment_capacity(*gpu));
  if (!on_card || result.refused) result = replay(program, options, workspace);
  result.is_whole = whole && replayed.recipe.accumulate == job.recipe.accumulate;
  return result;
}

int64_t left_whole(int64_t block_bytes, const Replayed& replayed) {
  if (replayed.refused || block_bytes > kLargestScaled) return 0;
  return beside_blocks(block_bytes, replayed.peak.allocated, replayed);
}

Range reserved_range(int64_t block_bytes, const Replayed& replayed) {
  Range range = reserved_range(block_bytes);
  if (replayed.refused || block_bytes > kLargestScaled) return range;
  range.low = in_segments(block_bytes + left_whole(block_bytes, replayed));
  range.likely = in_segments(block_bytes + beside_blocks(block_bytes, replayed.peak.reserved, replayed));
  range.high = std::max(range.high, range.likely);
  range.why = "the steps' allocations replayed through the caching allocator's rules, " +
              std::to_string(replayed.steps) +
              " steps; at least what is allocated, and up to 1.20 of it, the median "
              "of published Megatron runs, where shapes vary or libraries take workspaces that are not traced";
  return range;
}

}  // namespace peakmem
