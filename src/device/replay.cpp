#include "device/replay.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "device/cublas.h"

namespace peakmem {
namespace {

constexpr int32_t kMaxSteps = 5;

/// A cuBLAS handle's workspace: taken at its thread's first product, after the result was made.
class Workspace {
 public:
  explicit Workspace(std::string_view thread) : thread_(thread) {}
  /// Whether it is to be taken now.
  bool is_due(const Phase& phase, const Storage& made) {
    const bool due = !is_taken_ && phase.name == thread_ && is_matrix_product(made.made_by);
    is_taken_ = is_taken_ || due;
    return due;
  }

 private:
  std::string_view thread_;  // named by the phase it runs
  bool is_taken_ = false;
};

/// A storage of step 1 that lives on into step 2, and that of step 2 which does the same after it.
struct Carried {
  size_t from;
  size_t to;
};

/// What a step does to storages, by number.
struct StepEvents {
  std::vector<size_t> left;  // those it makes that live when it is over, in the order they are made
  std::vector<bool> makes, lets_go;
};

StepEvents events_of(const Program& program, int32_t step) {
  const size_t count = program.storages.size();
  StepEvents events = {{}, std::vector<bool>(count), std::vector<bool>(count)};
  std::vector<bool> lives(count);
  for (const Phase& phase : program.phases) {
    if (phase.step != step) continue;
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
      const Segment& segment = program.segments[static_cast<size_t>(s)];
      for (int32_t i = segment.first; i < segment.last; ++i) {
        const Event& event = program.events[static_cast<size_t>(i)];
        const auto place = static_cast<size_t>(event.storage);
        if (event.birth) events.left.push_back(place);
        (event.birth ? events.makes : events.lets_go)[place] = true;
        lives[place] = event.birth;
      }
    }
  }
  std::erase_if(events.left, [&](size_t place) { return !lives[place]; });
  return events;
}

/// What steps hand on under other names, where every step was traced for itself: a step that runs again lets go what it
/// left behind itself. Storages that step 2 makes again or never lets go are none of it.
std::vector<Carried> carried(const Program& program) {
  const StepEvents second = events_of(program, 2);
  std::vector<size_t> first = events_of(program, 1).left;
  std::erase_if(first, [&](size_t place) { return !second.lets_go[place] || second.makes[place]; });
  std::vector<Carried> pairs;
  auto next = first.begin();
  for (const size_t place : second.left) {
    if (second.lets_go[place]) continue;
    const Storage& left = program.storages[place];
    const auto is_alike = [&](size_t other) {
      const Storage& storage = program.storages[other];
      return identical(storage.bytes, left.bytes) && storage.scope == left.scope;
    };
    const auto found = std::find_if(next, first.end(), is_alike);
    if (found == first.end()) continue;
    next = found + 1;
    pairs.push_back({*found, place});
  }
  return pairs;
}

/// The allocator, and which block each storage is in. Ends where the device cannot serve a request.
class Run {
 public:
  Run(const Program& program, const AllocatorOptions& options, int64_t workspace_bytes, int64_t capacity)
      : program_(program),
        allocator_(options, capacity),
        blocks_(program.storages.size(), CachingAllocator::kNone),
        workspace_bytes_(workspace_bytes),
        workspaces_{Workspace(kCublasThreads[0]), Workspace(kCublasThreads[1])},
        carried_(carried(program)) {}

  /// `step` of the program; its allocations are added to `log`, if there is one.
  void step(int32_t step, std::vector<AllocationRequest>* log = nullptr) {
    log_ = log;
    if (step == 2 && std::exchange(ran_steady_, true))
      for (const Carried& each : carried_)
        blocks_[each.from] = std::exchange(blocks_[each.to], CachingAllocator::kNone);
    now_.step = step < 2 ? step : std::max(step, now_.step + 1);
    for (size_t p = 0; p < program_.phases.size() && !refused_; ++p) {
      now_.phase = static_cast<int32_t>(p);
      if (program_.phases[p].step != step) continue;
      run(program_.phases[p]);
      if (program_.phases[p].empties_cache) allocator_.release_cached();
    }
  }
  CachingAllocator& allocator() { return allocator_; }
  const std::optional<AllocationRequest>& refused() const { return refused_; }

 private:
  // Every segment runs once, for nothing is folded.
  void run(const Phase& phase) {
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
      const Segment& segment = program_.segments[static_cast<size_t>(s)];
      for (int32_t i = segment.first; i < segment.last && !refused_; ++i)
        run(phase, program_.events[static_cast<size_t>(i)]);
    }
  }
  void run(const Phase& phase, const Event& event) {
    const auto place = static_cast<size_t>(event.storage);
    if (!event.birth) return allocator_.free(oldest(place));
    const Storage& storage = program_.storages[place];
    const int64_t bytes = storage.on_host ? 0 : storage.bytes.number();
    const int32_t block = std::exchange(blocks_[place], allocate(event.storage, bytes, storage.stream));
    if (block != CachingAllocator::kNone) before_.emplace_back(place, block);
    for (Workspace& workspace : workspaces_)
      if (!refused_ && workspace.is_due(phase, storage)) allocate(-1, workspace_bytes_);
  }

  int32_t allocate(int32_t storage, int64_t bytes, Stream stream = Stream::kMain) {
    now_.storage = storage;
    now_.bytes = bytes;
    now_.before = allocator_.now();
    if (log_ != nullptr && bytes > 0) log_->push_back(now_);
    const int32_t block = allocator_.allocate(bytes, stream);
    if (!allocator_.out_of_memory()) return block;
    now_.before = allocator_.now();  // what it only cached it has given back
    refused_ = now_;
    return block;
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
  int64_t workspace_bytes_;
  std::array<Workspace, 2> workspaces_;
  std::vector<Carried> carried_;
  bool ran_steady_ = false;
  AllocationRequest now_;
  std::vector<AllocationRequest>* log_ = nullptr;
  std::optional<AllocationRequest> refused_;
};

}  // namespace

Replayed replay(const Program& program, const AllocatorOptions& options, int64_t workspace_bytes, int64_t capacity) {
  Run run(program, options, workspace_bytes, capacity);
  CachingAllocator& allocator = run.allocator();
  Replayed result;
  int32_t retries = 0;
  const auto step = [&](int32_t number) {
    run.step(number);
    const int32_t before = std::exchange(retries, allocator.retries());
    if (number > 0) result.retries.push_back(retries - before);
  };
  step(0);
  step(1);
  const auto note = [&] {
    result.peak.requested = std::max(result.peak.requested, allocator.peak().requested);
    result.peak.rounded = std::max(result.peak.rounded, allocator.peak().rounded);
    result.peak.allocated = std::max(result.peak.allocated, allocator.peak().allocated);
    result.peak.reserved = std::max(result.peak.reserved, allocator.peak().reserved);
  };
  for (result.steps = 2; result.steps <= kMaxSteps && !result.settled && !run.refused(); ++result.steps) {
    const int64_t before = allocator.now().reserved;
    note();
    allocator.reset_peak();
    step(2);
    result.settled = allocator.now().reserved == before;
  }
  --result.steps;
  result.refused = run.refused();
  note();
  result.steady = allocator.peak();
  return result;
}

bool has_retries(const Replayed& replayed) {
  return std::any_of(replayed.retries.begin(), replayed.retries.end(), [](int32_t times) { return times > 0; });
}

std::vector<AllocationRequest> requests(const Program& program, const AllocatorOptions& options,
                                        int64_t workspace_bytes) {
  Run run(program, options, workspace_bytes, std::numeric_limits<int64_t>::max());
  std::vector<AllocationRequest> all;
  for (const int32_t step : {0, 1, 2}) run.step(step, &all);
  return all;
}

}  // namespace peakmem
