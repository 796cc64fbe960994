#include "device/replay.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace peakmem {
namespace {

constexpr int32_t kMaxSteps = 5;

/// Ops that ask cuBLAS for their product.
bool is_matrix_product(std::string_view op) {
  constexpr std::array<std::string_view, 4> kProducts = {"mm", "addmm", "bmm", "baddbmm"};
  return std::find(kProducts.begin(), kProducts.end(), op) != kProducts.end();
}

/// A cuBLAS handle's workspace: taken at its thread's first product, after the result was made.
class Workspace {
 public:
  Workspace(std::string_view thread, int64_t bytes) : thread_(thread), bytes_(bytes) {}
  void note(CachingAllocator& allocator, const Phase& phase, const Storage& made) {
    if (is_taken_ || phase.name != thread_ || !is_matrix_product(made.made_by)) return;
    allocator.allocate(bytes_);
    is_taken_ = true;
  }

 private:
  std::string_view thread_;  // named by the phase it runs
  int64_t bytes_;
  bool is_taken_ = false;
};

/// The allocator, and which block each storage is in.
class Run {
 public:
  Run(const Program& program, const AllocatorOptions& options, int64_t workspace_bytes, int64_t capacity)
      : program_(program),
        allocator_(options, capacity),
        blocks_(program.storages.size(), CachingAllocator::kNone),
        workspaces_{Workspace("forward", workspace_bytes), Workspace("backward", workspace_bytes)} {}

  void step(int32_t step) {
    for (const Phase& phase : program_.phases)
      if (phase.step == step) run(phase);
  }
  CachingAllocator& allocator() { return allocator_; }

 private:
  // Every segment runs once, for nothing is folded.
  void run(const Phase& phase) {
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
      const Segment& segment = program_.segments[static_cast<size_t>(s)];
      for (int32_t i = segment.first; i < segment.last; ++i) run(phase, program_.events[static_cast<size_t>(i)]);
    }
  }
  void run(const Phase& phase, const Event& event) {
    const auto place = static_cast<size_t>(event.storage);
    if (!event.birth) return allocator_.free(oldest(place));
    const Storage& storage = program_.storages[place];
    const int32_t block = std::exchange(blocks_[place], allocator_.allocate(storage.bytes.number()));
    if (block != CachingAllocator::kNone) before_.emplace_back(place, block);
    for (Workspace& workspace : workspaces_) workspace.note(allocator_, phase, storage);
  }

  int32_t oldest(size_t place) {
    const auto before = std::find_if(before_.begin(), before_.end(), [&](const auto& it) { return it.first == place; });
    if (before == before_.end()) return std::exchange(blocks_[place], CachingAllocator::kNone);
    const int32_t block = before->second;
    before_.erase(before);
    return block;
  }

  const Program& program_;
  CachingAllocator allocator_;
  std::vector<int32_t> blocks_;
  std::vector<std::pair<size_t, int32_t>>
      before_;  // what a storage was in where the next step's is made before it goes
  std::array<Workspace, 2> workspaces_;
};

}  // namespace

Replayed replay(const Program& program, const AllocatorOptions& options, int64_t workspace_bytes, int64_t capacity) {
  Run run(program, options, workspace_bytes, capacity);
  CachingAllocator& allocator = run.allocator();
  Replayed result;
  run.step(0);
  run.step(1);
  for (result.steps = 2; result.steps <= kMaxSteps && !result.settled; ++result.steps) {
    const int64_t before = allocator.now().reserved;
    result.peak.rounded = std::max(result.peak.rounded, allocator.peak().rounded);
    result.peak.allocated = std::max(result.peak.allocated, allocator.peak().allocated);
    allocator.reset_peak();
    run.step(2);
    result.settled = allocator.now().reserved == before;
  }
  --result.steps;
  result.out_of_memory = allocator.out_of_memory();
  result.steady = allocator.peak();
  result.peak = {std::max(result.peak.rounded, result.steady.rounded),
                 std::max(result.peak.allocated, result.steady.allocated), result.steady.reserved};
  return result;
}

}  // namespace peakmem
