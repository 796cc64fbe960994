#include "estimate/nccl.h"

namespace peakmem {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

/// What a connection receives into on one channel: LL 512 KiB, LL128 4,800 KiB and Simple NCCL_BUFFSIZE, 4 MiB (NCCL
/// 2.2x, src/include/device.h and src/init.cc).
constexpr int64_t kConnection = 524288 + 4915200 + 4 * kMiB;

// Between cards on PCIe rings have two channels, each with a ring's and a tree's connection. Measured with NVLink:
// 544 MiB for a pair of A100s and 688 MiB for more of them (github.com/NVIDIA/nccl/issues/964); the most that was
// reported of a single communicator is 1.6 GB (issue 864).
constexpr int64_t kLow = int64_t{2} * 2 * kConnection;
constexpr int64_t kPair = 544 * kMiB;
constexpr int64_t kMore = 688 * kMiB;
constexpr int64_t kHigh = 1600 * kMiB;

/// Adds the communicator of a group of ranks; who is alone needs none.
void add_group(NcclBuffers& buffers, int64_t ranks) {
  if (ranks < 2) return;
  ++buffers.communicators;
  buffers.bytes.low += kLow;
  buffers.bytes.likely += ranks == 2 ? kPair : kMore;
  buffers.bytes.high += kHigh;
}

}  // namespace

std::optional<NcclBuffers> nccl_buffers(const Recipe& recipe) {
  NcclBuffers buffers;
  for (const int64_t ranks : {recipe.ddp.ranks, recipe.zero.ranks, recipe.sharding.shards, recipe.sharding.replicas})
    add_group(buffers, ranks);
  if (buffers.communicators == 0) return std::nullopt;
  buffers.bytes.why =
      "an estimate: each communicator has buffers of 9.2 MiB a channel and connection; 2 channels over PCIe, and 544 "
      "MiB "
      "for two A100s, 688 MiB for more of them with NVLink as measured, up to 1.6 GB as reported "
      "(NCCL_MAX_NCHANNELS, NCCL_BUFFSIZE and NCCL_NVLS_ENABLE=0 make it less)";
  return buffers;
}

int64_t nccl_bytes(const Recipe& recipe) {
  const std::optional<NcclBuffers> buffers = nccl_buffers(recipe);
  return buffers ? buffers->bytes.likely : 0;
}

}  // namespace peakmem
