#include "device/allocator.h"

#include <algorithm>
#include <bit>

#include "size/order.h"

namespace peakmem {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kMinBlock = 512;
constexpr int64_t kSmallSize = kMiB;        // requests up to this come from the small pool
constexpr int64_t kSmallBuffer = 2 * kMiB;  // its segments
constexpr int64_t kMinLargeAlloc = 10 * kMiB;
constexpr int64_t kLargeBuffer = 20 * kMiB;              // segments for requests below kMinLargeAlloc
constexpr int64_t kRoundLarge = 2 * kMiB;                // multiples of larger segments
constexpr int64_t kLargestRequest = int64_t{1} << 60;    // so that sums of it stay in 63 bits
constexpr int64_t kExpandableSpan = kLargeBuffer << 30;  // between the addresses of pools' expandable segments

int64_t round_up_to(int64_t bytes, int64_t step) { return (bytes + step - 1) / step * step; }

int64_t segment_size(int64_t size, bool small) {
  if (small) return kSmallBuffer;
  return size < kMinLargeAlloc ? kLargeBuffer : round_up_to(size, kRoundLarge);
}

/// Up to the next of `divisions` equal parts between two powers of two; both are powers of two or above one.
int64_t next_division(int64_t size, int64_t divisions) {
  const auto floor = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(size)));
  return size == floor ? size : round_up_to(size, std::max<int64_t>(1, floor / divisions));
}

}  // namespace

CachingAllocator::CachingAllocator(const AllocatorOptions& options, int64_t capacity)
    : options_(options), capacity_(capacity) {
  pools_.reserve(2 * kStreams);
  for (size_t i = 0; i < 2 * kStreams; ++i) pools_.emplace_back(&memory_).small = i % 2 == 0;
}

int64_t CachingAllocator::rounded(int64_t bytes) const {
  const int64_t divisions = options_.roundup_power2_divisions;
  const int64_t size = divisions > 1 && bytes > kMinBlock * divisions ? next_division(bytes, divisions) : bytes;
  return std::max(kMinBlock, round_up_to(size, kMinBlock));
}

int64_t CachingAllocator::segment_of(int64_t bytes) const {
  const int64_t size = rounded(bytes);
  return segment_size(size, size <= kSmallSize);
}

int32_t CachingAllocator::allocate(int64_t bytes, Stream stream) {
  if (bytes <= 0) return kNone;
  if (bytes > kLargestRequest) {
    out_of_memory_ = true;
    return kNone;
  }
  const int64_t size = rounded(bytes);
  const auto pool = static_cast<uint8_t>(2 * static_cast<size_t>(stream) + (size <= kSmallSize ? 0 : 1));
  int32_t block = best_fit(size, pools_[pool]);
  if (block == kNone) block = more(size, pool);
  if (block == kNone) {
    out_of_memory_ = true;
    return kNone;
  }
  uncache(block);
  if (should_split(block, size)) cache(split(block, size));
  at(block).in_use = true;
  at(block).requested = bytes;
  at(block).rounded = round_up_to(bytes, kMinBlock);
  now_.requested += bytes;
  now_.rounded += at(block).rounded;
  now_.allocated += at(block).size;
  raise_peak();
  return block;
}

void CachingAllocator::free(int32_t block) {
  if (block == kNone) return;
  now_.requested -= at(block).requested;
  now_.rounded -= at(block).rounded;
  now_.allocated -= at(block).size;
  at(block).in_use = false;
  cache(merge_around(block));
}

/// What a block that is cached could be grown to in place.
int64_t CachingAllocator::size_grown(int32_t block) const {
  const int32_t next = at(block).next;
  return at(block).size + (next != kNone && !at(next).mapped ? at(next).size : 0);
}

/// The smallest cached block that suffices. A block that can still grow counts as large as it could grow to; a block
/// of max_split_size or more is kept for requests as large, and for those only if little is wasted.
int32_t CachingAllocator::best_fit(int64_t size, const Pool& pool) const {
  auto found = pool.cached.lower_bound({size, 0, 0});
  if (found == pool.cached.end()) return kNone;
  if (options_.expandable_segments)
    for (auto next = std::next(found); next != pool.cached.end() && size_grown(next->block) < size_grown(found->block);)
      found = next++;
  if (size < options_.max_split_size && found->size >= options_.max_split_size) return kNone;
  if (size >= options_.max_split_size && found->size >= size + kLargeBuffer) return kNone;
  return found->block;
}

/// A cached block of memory that is taken from the device. Where there is none, what is cached is given back first.
int32_t CachingAllocator::more(int64_t size, uint8_t pool) {
  const auto take = [&] { return options_.expandable_segments ? expand(size, pool) : new_segment(size, pool); };
  if (const int32_t block = take(); block != kNone) return block;
  release_cached();
  ++retries_;
  return take();
}

int32_t CachingAllocator::new_segment(int64_t size, uint8_t pool) {
  const int64_t bytes = segment_size(size, pools_[pool].small);
  if (!take_from_device(bytes)) return kNone;
  const int32_t block = new_block({.address = place(bytes), .size = bytes, .segment = segments_++, .pool = pool});
  cache(block);
  return block;
}

/// The lowest address that has room for a segment.
int64_t CachingAllocator::place(int64_t bytes) {
  int64_t low = 0;
  if (!has_holes_ && !placed_.empty()) low = placed_.rbegin()->first + placed_.rbegin()->second;
  for (auto next = placed_.lower_bound(low); next != placed_.end() && next->first - low < bytes; ++next)
    low = next->first + next->second;
  placed_.emplace(low, bytes);
  return low;
}

/// An expandable segment: addresses for an eighth more than the device's memory, in whole pages, and nothing behind
/// them yet.
int32_t CachingAllocator::new_span(uint8_t pool) {
  const bool bounded = capacity_ < kExpandableSpan / 2;
  const int64_t page = pools_[pool].small ? kSmallBuffer : kLargeBuffer;
  const int64_t size = bounded ? round_up_to(capacity_ + capacity_ / 8, page) : kExpandableSpan;
  const int64_t address = pool * kExpandableSpan + pools_[pool].spans++ * size;
  const int32_t block =
      new_block({.address = address, .size = size, .segment = segments_++, .pool = pool, .mapped = false});
  pools_[pool].unmapped.emplace(address, block);
  return block;
}

/// The first of free blocks in a row, mapped or not, that hold `size`, at the lowest address that is not mapped; else
/// those of a new segment.
int32_t CachingAllocator::room_to_grow(int64_t size, uint8_t pool) {
  for (const auto& [address, block] : pools_[pool].unmapped) {
    const int32_t first = is_free(at(block).previous, true) ? at(block).previous : block;
    int64_t room = 0;
    for (int32_t next = first; next != kNone && !at(next).in_use; next = at(next).next)
      if (room += at(next).size; room >= size) return first;
  }
  return new_span(pool);
}

/// expandable_segments: a pool's segment grows where its addresses have no memory yet, by whole pages.
int32_t CachingAllocator::expand(int64_t size, uint8_t pool) {
  if (size > capacity_) return kNone;
  int32_t block = room_to_grow(size, pool);
  if (!at(block).mapped) block = map(block, std::min(size, at(block).size));
  while (block != kNone && at(block).size < size) {
    const int32_t next = at(block).next;
    block = map(next, std::min(size - at(block).size, at(next).size));
  }
  return block;
}

/// Puts memory behind the first `size` bytes of a block and caches it with what is free around it.
int32_t CachingAllocator::map(int32_t block, int64_t size) {
  const int64_t bytes = round_up_to(size, pool_of(block).small ? kSmallBuffer : kLargeBuffer);
  if (!take_from_device(bytes)) return kNone;
  pool_of(block).unmapped.erase({at(block).address, block});
  if (bytes < at(block).size) {
    const int32_t rest = split(block, bytes);
    pool_of(rest).unmapped.emplace(at(rest).address, rest);
  }
  at(block).mapped = true;
  const int32_t merged = merge_around(block);
  cache(merged);
  return merged;
}

/// Takes the memory from the whole pages within a cached block.
void CachingAllocator::unmap(int32_t block) {
  const int64_t page = pool_of(block).small ? kSmallBuffer : kLargeBuffer;
  const int64_t begin = round_up_to(at(block).address, page);
  const int64_t end = (at(block).address + at(block).size) / page * page;
  if (begin >= end) return;
  uncache(block);
  now_.reserved -= end - begin;
  if (const int64_t before = begin - at(block).address; before > 0) {
    const int32_t rest = split(block, before);
    cache(block);
    block = rest;
  }
  if (at(block).size > end - begin) cache(split(block, end - begin));
  at(block).mapped = false;
  const int32_t merged = merge_around(block);
  pool_of(merged).unmapped.emplace(at(merged).address, merged);
}

bool CachingAllocator::take_from_device(int64_t bytes) {
  if (bytes > capacity_ - now_.reserved) return false;
  now_.reserved += bytes;
  return true;
}

void CachingAllocator::release_cached() {
  for (Pool& pool : pools_) {
    const std::vector<Free> cached(pool.cached.begin(), pool.cached.end());
    for (const Free& free : cached) {
      if (options_.expandable_segments) {
        unmap(free.block);
      } else if (at(free.block).previous == kNone && at(free.block).next == kNone) {
        uncache(free.block);
        now_.reserved -= free.size;
        placed_.erase(free.address);
        has_holes_ = true;
        at(free.block).size = 0;
        spare_.push_back(free.block);
      }
    }
  }
}

bool CachingAllocator::should_split(int32_t block, int64_t size) {
  const int64_t rest = at(block).size - size;
  if (pool_of(block).small || options_.expandable_segments) return rest >= kMinBlock;
  return size < options_.max_split_size && rest > kSmallSize;
}

/// Cuts a block behind its first `size` bytes; the other part, which is in no list yet.
int32_t CachingAllocator::split(int32_t block, int64_t size) {
  Block rest = at(block);
  rest.address += size;
  rest.size -= size;
  rest.previous = block;
  rest.in_use = false;
  const int32_t made = new_block(rest);
  if (rest.next != kNone) at(rest.next).previous = made;
  at(block).size = size;
  at(block).next = made;
  return made;
}

/// One block of a free one, which is in no list, and the free ones beside it that are mapped as it is.
int32_t CachingAllocator::merge_around(int32_t block) {
  const auto unlist = [this](int32_t neighbour) {
    if (at(neighbour).mapped)
      uncache(neighbour);
    else
      pool_of(neighbour).unmapped.erase({at(neighbour).address, neighbour});
  };
  const bool mapped = at(block).mapped;
  if (const int32_t next = at(block).next; is_free(next, mapped)) {
    unlist(next);
    merge(block, next);
  }
  const int32_t previous = at(block).previous;
  if (!is_free(previous, mapped)) return block;
  unlist(previous);
  merge(previous, block);
  return previous;
}

void CachingAllocator::merge(int32_t into, int32_t neighbour) {
  const Block& gone = at(neighbour);
  at(into).size += gone.size;
  at(into).next = gone.next;
  if (gone.next != kNone) at(gone.next).previous = into;
  at(neighbour).size = 0;
  spare_.push_back(neighbour);
}

int32_t CachingAllocator::new_block(const Block& block) {
  if (spare_.empty()) {
    blocks_.push_back(block);
    return static_cast<int32_t>(blocks_.size()) - 1;
  }
  const int32_t place = spare_.back();
  spare_.pop_back();
  at(place) = block;
  return place;
}

void CachingAllocator::cache(int32_t block) {
  pool_of(block).cached.insert({at(block).size, at(block).address, block});
}
void CachingAllocator::uncache(int32_t block) {
  pool_of(block).cached.erase({at(block).size, at(block).address, block});
}

void CachingAllocator::raise_peak() {
  peak_.requested = std::max(peak_.requested, now_.requested);
  peak_.rounded = std::max(peak_.rounded, now_.rounded);
  peak_.allocated = std::max(peak_.allocated, now_.allocated);
  peak_.reserved = std::max(peak_.reserved, now_.reserved);
}

std::vector<CachingAllocator::View> CachingAllocator::blocks() const {
  std::vector<View> views;
  for (const Block& block : blocks_)
    if (block.size > 0 && block.mapped) views.push_back({block.segment, block.address, block.size, block.in_use});
  sort_by(views, [](const View& view) { return view.address; });
  return views;
}

}  // namespace peakmem
