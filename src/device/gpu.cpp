#include "device/gpu.h"

#include <array>
#include <cctype>

namespace peakmem {
namespace {

// The rows of data/gpus.json, turned into C++ when the program is built (cmake/gpus.cmake).
constexpr auto kGpus = std::to_array<Gpu>({
#include "gpu_rows.inc"
});

bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (std::tolower(static_cast<unsigned char>(a[i])) != std::tolower(static_cast<unsigned char>(b[i]))) return false;
  return true;
}

bool is_called(const Gpu& gpu, std::string_view name) {
  if (same(gpu.name, name) || same(gpu.title, name)) return true;
  std::string_view rest = gpu.aliases;
  while (!rest.empty()) {
    const size_t end = rest.find(' ');
    if (same(rest.substr(0, end), name)) return true;
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return false;
}

}  // namespace

std::span<const Gpu> gpus() { return kGpus; }

const Gpu* find_gpu(std::string_view name) {
  if (name.empty()) return nullptr;
  for (const Gpu& gpu : kGpus)
    if (is_called(gpu, name)) return &gpu;
  return nullptr;
}

int64_t cublas_workspace_bytes(const Gpu* gpu) {
  constexpr int64_t kKiB = 1024;
  constexpr int kHopper = 90;
  const bool large = gpu != nullptr && gpu->compute_capability >= kHopper;
  return large ? 32 * kKiB * kKiB : 4096 * kKiB * 2 + 16 * kKiB * 8;
}

}  // namespace peakmem
