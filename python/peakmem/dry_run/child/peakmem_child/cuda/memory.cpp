#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "gpu.h"

namespace stand_in {
namespace {

constexpr size_t kMiB = 1 << 20;
constexpr size_t kGranule = 2 * kMiB;          // cudaMalloc's and cuMemCreate's, on every GPU of today
constexpr size_t kSpace = size_t{16} << 40;    // of addresses
constexpr size_t kRemembered = 64 << 10;       // the largest copy to the device whose bytes are kept
constexpr uintptr_t kBase = 0x3000'0000'0000;  // where a process has nothing else

std::atomic<uint64_t> reads{0};
std::atomic<uint64_t> answer{0};

size_t round_up(size_t bytes) { return std::max((bytes + kGranule - 1) / kGranule, size_t{1}) * kGranule; }

struct Range {
  size_t bytes;
  int device;
};

struct Memory {
  std::mutex mutex;
  char* base;
  std::map<size_t, Range> blocks;      // by offset
  std::map<uint64_t, Range> physical;  // by handle
  std::map<int, size_t> taken;         // by device
  std::map<char*, std::pair<size_t, Kind>> host;
  std::map<const void*, std::vector<char>> known;  // what is where on the device

  // Addresses without access: nothing else is put there, and host code that reads device memory faults, as with a GPU.
  Memory()
      : base(static_cast<char*>(mmap(reinterpret_cast<void*>(kBase), kSpace, PROT_NONE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}

  bool take(size_t bytes) {
    if (taken[current_device()] + bytes > gpu().for_segments()) return false;
    taken[current_device()] += bytes;
    return true;
  }

  // The lowest hole: equal blocks are ordered by address in the allocator's pools, so addresses should be a driver's.
  // The first granule is that of device_variables.
  char* place(size_t bytes) {
    size_t low = kGranule;
    for (const auto& [offset, range] : blocks) {
      if (offset - low >= bytes) break;
      low = offset + range.bytes;
    }
    blocks[low] = {bytes, current_device()};
    return base + low;
  }

  Range take_out(void* address) {
    const auto found = blocks.find(static_cast<size_t>(static_cast<char*>(address) - base));
    if (found == blocks.end()) return {};
    const Range range = found->second;
    blocks.erase(found);
    return range;
  }
};

// Never destroyed: torch frees memory while the process ends.
Memory& memory() {
  static Memory* const one = new Memory;
  return *one;
}

void copy_known(void* to, const void* from, size_t bytes) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  m.known.erase(to);
  if (!on_device(from)) {
    const char* text = static_cast<const char*>(from);
    if (bytes <= kRemembered) m.known[to].assign(text, text + bytes);
  } else if (const auto found = m.known.find(from); found != m.known.end()) {
    m.known[to] = found->second;
  }
}

// What was copied there before, or else zero: counts are 0, losses and norms 0.0, unless Python knows better.
void read_back(void* to, const void* from, size_t bytes) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto found = m.known.find(from);
  if (found != m.known.end() && found->second.size() >= bytes) {
    memcpy(to, found->second.data(), bytes);
    return;
  }
  ++reads;
  memset(to, 0, bytes);
  const uint64_t number = answer.exchange(0);
  memcpy(to, &number, std::min(bytes, sizeof number));
}

}  // namespace

int& current_device() {
  thread_local int device = 0;
  return device;
}

bool on_device(const void* address) { return address >= memory().base && address < memory().base + kSpace; }

void* allocate(size_t bytes) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  bytes = round_up(bytes);
  return m.take(bytes) ? m.place(bytes) : nullptr;
}

void release(void* address) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const Range range = m.take_out(address);
  m.taken[range.device] -= range.bytes;
}

void* reserve(size_t bytes) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  return m.place(round_up(bytes));
}

void unreserve(void* address) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  m.take_out(address);
}

uint64_t create_physical(size_t bytes) {
  static uint64_t last = 0;
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (!m.take(bytes)) return 0;
  m.physical[++last] = {bytes, current_device()};
  return last;
}

void release_physical(uint64_t handle) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto found = m.physical.find(handle);
  if (found == m.physical.end()) return;
  m.taken[found->second.device] -= found->second.bytes;
  m.physical.erase(found);
}

size_t free_bytes() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  return gpu().for_segments() - m.taken[current_device()];
}

void* device_variables() { return memory().base; }

void* allocate_host(size_t bytes, Kind kind) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  bytes = std::max(bytes, size_t{1});
  // Page by page as it is touched: a large optimizer's state in managed memory costs nothing here.
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  m.host[static_cast<char*>(at)] = {bytes, kind};
  return at;
}

bool release_host(void* address) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto found = m.host.find(static_cast<char*>(address));
  if (found == m.host.end()) return false;
  munmap(address, found->second.first);
  m.host.erase(found);
  return true;
}

Kind kind_of(const void* address) {
  if (on_device(address)) return Kind::kDevice;
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const char* at = static_cast<const char*>(address);
  const auto after = m.host.upper_bound(const_cast<char*>(at));
  if (after == m.host.begin()) return Kind::kUnknown;
  const auto& [start, block] = *std::prev(after);
  return at < start + block.first ? block.second : Kind::kUnknown;
}

void copy(void* to, const void* from, size_t bytes) {
  if (on_device(to)) {
    copy_known(to, from, bytes);
  } else if (on_device(from)) {
    read_back(to, from, bytes);
  } else {
    memmove(to, from, bytes);
  }
}

void forget() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  m.known.clear();
}

}  // namespace stand_in

/// How often the host read something of the device that nobody knows: where a run could leave a GPU's path.
extern "C" __attribute__((visibility("default"))) uint64_t peakmem_reads() { return stand_in::reads; }

/// What the next of these reads gives, instead of 0.
extern "C" __attribute__((visibility("default"))) void peakmem_answer(uint64_t number) { stand_in::answer = number; }
