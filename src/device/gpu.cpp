#include "device/gpu.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace peakmem {
namespace {

// The rows of data/gpus.json, turned into C++ when the program is built (cmake/gpus.cmake).
constexpr auto kGpus = std::to_array<Gpu>({
#include "gpu_rows.inc"
});

/// A space, which titles have, is the dash of names.
int letter_of(char c) { return c == ' ' || c == '_' ? '-' : std::tolower(static_cast<unsigned char>(c)); }

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return letter_of(x) == letter_of(y); });
}

/// Words that torch and nvidia-smi put before a card's name.
constexpr std::array<std::string_view, 6> kMakers = {"nvidia ", "amd ", "intel ", "tesla ", "geforce ", "instinct "};

/// A name without its maker: of "NVIDIA GeForce RTX 4090" the last two words.
std::string_view without_maker(std::string_view name) {
  for (const std::string_view maker : kMakers)
    if (name.size() > maker.size() && same(name.substr(0, maker.size()), maker)) name.remove_prefix(maker.size());
  return name;
}

bool is_called(const Gpu& gpu, std::string_view name) {
  const std::string_view bare = without_maker(name);
  if (same(gpu.name, bare) || same(without_maker(gpu.title), bare)) return true;
  std::string_view rest = gpu.aliases;
  while (!rest.empty()) {
    const size_t end = rest.find(' ');
    if (same(rest.substr(0, end), bare) || same(rest.substr(0, end), name)) return true;
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return false;
}

/// What a multiprocessor has, by compute capability (CUDA C++ Programming Guide 13.0, technical specifications per
/// compute capability): threads at once, and KiB of shared memory for a thread block. And what CUB of CUDA 13.0 sorts
/// at once there, measured on 7.5, 8.0, 8.9 and 9.0 (oracle/gpu/kernels.py).
struct Capability {
  int compute_capability;
  int64_t threads;
  int64_t shared_kib;
  int64_t sort_tile;
};
constexpr std::array<Capability, 11> kCapabilities = {{{60, 2048, 48, 2816},
                                                       {70, 2048, 96, 2816},
                                                       {75, 1024, 64, 2816},
                                                       {80, 2048, 163, 3840},
                                                       {86, 1536, 99, 3840},
                                                       {87, 1536, 163, 3840},
                                                       {89, 1536, 99, 3840},
                                                       {90, 2048, 227, 4608},
                                                       {100, 2048, 227, 4608},
                                                       {103, 2048, 227, 4608},
                                                       {120, 1536, 99, 4608}}};

}  // namespace

std::span<const Gpu> gpus() { return kGpus; }

const Gpu* find_gpu(std::string_view name) {
  if (name.empty()) return nullptr;
  for (const Gpu& gpu : kGpus)
    if (is_called(gpu, name)) return &gpu;
  return nullptr;
}

int64_t likely_context(const Gpu& gpu) { return (gpu.context_low + gpu.context_high) / 2; }

Processor processor_of(const Gpu& gpu) {
  Processor processor;
  processor.multiprocessors = gpu.multiprocessors;
  for (const Capability& row : kCapabilities)
    if (row.compute_capability == gpu.compute_capability)
      processor = {row.compute_capability, gpu.multiprocessors, row.threads, row.shared_kib, row.sort_tile};
  return processor;
}

int64_t cublas_workspace_bytes(const Gpu* gpu) {
  constexpr int64_t kKiB = 1024;
  constexpr int kHopper = 90;
  const bool large = gpu != nullptr && gpu->compute_capability >= kHopper;
  return large ? 32 * kKiB * kKiB : 4096 * kKiB * 2 + 16 * kKiB * 8;
}

}  // namespace peakmem
