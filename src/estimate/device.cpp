#include "estimate/device.h"

#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

/// A share of the bytes in hundredths, rounded down; sizes this large have room for the factor.
int64_t hundredths(int64_t bytes, int64_t share) { return bytes / 100 * share; }

/// Whose CUDA context it is where no GPU is named.
constexpr std::string_view kUsual = "a100-80gb";

}  // namespace

int64_t in_segments(int64_t bytes) { return (bytes + 2 * kMiB - 1) / (2 * kMiB) * (2 * kMiB); }

Range reserved_range(int64_t allocated_bytes) {
  Range range;
  range.low = in_segments(allocated_bytes);
  range.likely = in_segments(allocated_bytes + hundredths(allocated_bytes, 3));
  range.high = in_segments(allocated_bytes + hundredths(allocated_bytes, 20));
  range.why =
      "segments of 2 MiB and fragmentation: reserved over allocated is 1.03 where shapes are steady and 1.20 in the "
      "median "
      "of published Megatron runs (1.06 to 1.40)";
  return range;
}

Range device_range(const Range& reserved, const Gpu* gpu, int64_t managed_bytes, int64_t nccl_bytes) {
  const Gpu& card = gpu != nullptr ? *gpu : *find_gpu(kUsual);
  Range range;
  range.low = reserved.low + card.context_low;
  range.likely = reserved.likely + likely_context(card);
  range.high = reserved.high + card.context_most + managed_bytes + nccl_bytes;
  range.why = "reserved memory and the CUDA context, which grows as kernels are loaded";
  if (card.context_most > card.context_high)
    range.why += ", and of which, with what else lay on the card, published runs had up to " +
                 in_binary_units(card.context_most);
  if (managed_bytes > 0) range.why += "; at the high end all managed memory too, which else is on the host";
  if (nccl_bytes > 0) range.why += "; at the high end what NCCL's communicators take, too";
  return range;
}

int64_t segment_capacity(const Gpu& gpu) { return gpu.memory_bytes - likely_context(gpu); }

Verdict verdict(const Range& device, const Gpu& gpu, int64_t headroom_bytes) {
  Verdict verdict;
  verdict.gpu = gpu.name;
  verdict.capacity_bytes = gpu.memory_bytes - headroom_bytes;
  verdict.headroom_bytes = headroom_bytes;
  verdict.fits = device.likely <= verdict.capacity_bytes;
  verdict.verdict = !verdict.fits ? "does not fit" : device.high <= verdict.capacity_bytes ? "fits" : "tight";
  return verdict;
}

}  // namespace peakmem
