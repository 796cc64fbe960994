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
constexpr int64_t kLargeBuffer = 20 * kMiB;            // segments for requests below kMinLargeAlloc
constexpr int64_t kRoundLarge = 2 * kMiB;              // multiples of larger segments
constexpr int64_t kLargestRequest = int64_t{1} << 60;  // so that sums of it stay in 63 bits
constexpr int64_t kExpandableSpan = int64_t{1} << 50;  // address space of an expandable segment

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

int64_t CachingAllocator::rounded(int64_t bytes) const {
  const int64_t divisions = options_.roundup_power2_divisions;
  const int64_t size = divisions > 1 && bytes > kMinBlock * divisions ? next_division(bytes, divisions) : bytes;
  return std::max(kMinBlock, round_up_to(size, kMinBlock));
}

int64_t CachingAllocator::segment_of(int64_t bytes) const {
  const int64_t size = rounded(bytes);
  return segment_size(size, size <= kSmallSize);
}

int32_t CachingAllocator::allocate(int64_t bytes) {
  if (bytes <= 0) return kNone;
  if (bytes > kLargestRequest) {
    out_of_memory_ = true;
    return kNone;
  }
  const int64_t size = rounded(bytes);
  const bool small = size <= kSmallSize;
  int32_t block = best_fit(size, small);
  if (block == kNone) block = options_.expandable_segments ? expand(size, small) : new_segment(size, small);
  if (block == kNone) {
    out_of_memory_ = true;
    return kNone;
  }
  if (should_split(at(block), size)) split(block, size);
  at(block).in_use = true;
  at(block).rounded = round_up_to(bytes, kMinBlock);
  now_.rounded += at(block).rounded;
  now_.allocated += at(block).size;
  raise_peak();
  return block;
}

void CachingAllocator::free(int32_t block) {
  if (block == kNone) return;
  now_.rounded -= at(block).rounded;
  now_.allocated -= at(block).size;
  at(block).in_use = false;
  int32_t merged = block;
  const int32_t next = at(block).next;
  const int32_t previous = at(block).previous;
  if (next != kNone && !at(next).in_use) {
    uncache(next);
    merge(block, next);
  }
  if (previous != kNone && !at(previous).in_use) {
    uncache(previous);
    merge(previous, block);
    merged = previous;
  }
  cache(merged);
}

/// The smallest cached block that suffices. A block that can still grow counts as large as it could grow to; a block
/// of max_split_size or more is kept for requests as large, and for those only if little is wasted.
int32_t CachingAllocator::best_fit(int64_t size, bool small) {
  Pool& cached = pool(small);
  auto found = cached.lower_bound({size, 0, 0});
  if (found == cached.end()) return kNone;
  if (options_.expandable_segments && found->block == tails_[small ? 0 : 1] && std::next(found) != cached.end())
    ++found;
  if (size < options_.max_split_size && found->size >= options_.max_split_size) return kNone;
  if (size >= options_.max_split_size && found->size >= size + kLargeBuffer) return kNone;
  const int32_t block = found->block;
  cached.erase(found);
  return block;
}

int32_t CachingAllocator::new_segment(int64_t size, bool small) {
  const int64_t bytes = segment_size(size, small);
  if (!take_from_device(bytes)) return kNone;
  Block block;
  block.address = next_address_;
  block.size = bytes;
  block.segment = segments_++;
  block.small = small;
  next_address_ += bytes;
  return new_block(block);
}

/// expandable_segments: the pool's only segment grows at its end by whole pages, of 2 MiB in the small pool and of
/// 20 MiB in the large one; a free block at the end is part of what is given.
int32_t CachingAllocator::expand(int64_t size, bool small) {
  int32_t& tail = tails_[small ? 0 : 1];
  const bool grows = tail != kNone && !at(tail).in_use;
  const int64_t missing = size - (grows ? at(tail).size : 0);
  const int64_t bytes = round_up_to(missing, small ? kSmallBuffer : kLargeBuffer);
  if (!take_from_device(bytes)) return kNone;
  if (grows) {
    uncache(tail);
    at(tail).size += bytes;
    return tail;
  }
  Block block;
  block.address = tail == kNone ? (small ? 0 : kExpandableSpan) : at(tail).address + at(tail).size;
  block.size = bytes;
  block.segment = small ? 0 : 1;
  block.small = small;
  block.previous = tail;
  const int32_t made = new_block(block);
  if (tail != kNone) at(tail).next = made;
  return tail = made;
}

bool CachingAllocator::take_from_device(int64_t bytes) {
  if (bytes > capacity_ - now_.reserved) release_cached();
  if (bytes > capacity_ - now_.reserved) return false;
  now_.reserved += bytes;
  return true;
}

// Pages of expandable segments stay mapped here, where PyTorch would unmap those that are free.
void CachingAllocator::release_cached() {
  if (options_.expandable_segments) return;
  for (Pool& cached : pools_) {
    std::erase_if(cached, [this](const Free& free) {
      const Block& block = at(free.block);
      if (block.previous != kNone || block.next != kNone) return false;
      now_.reserved -= block.size;
      at(free.block).size = 0;
      spare_.push_back(free.block);
      return true;
    });
  }
}

bool CachingAllocator::should_split(const Block& block, int64_t size) const {
  const int64_t rest = block.size - size;
  if (block.small || options_.expandable_segments) return rest >= kMinBlock;
  return size < options_.max_split_size && rest > kSmallSize;
}

void CachingAllocator::split(int32_t block, int64_t size) {
  Block rest = at(block);
  rest.address += size;
  rest.size -= size;
  rest.previous = block;
  rest.in_use = false;
  const int32_t made = new_block(rest);
  if (rest.next != kNone) at(rest.next).previous = made;
  at(block).size = size;
  at(block).next = made;
  int32_t& tail = tails_[rest.small ? 0 : 1];
  if (tail == block) tail = made;
  cache(made);
}

void CachingAllocator::merge(int32_t into, int32_t neighbour) {
  const Block& gone = at(neighbour);
  at(into).size += gone.size;
  at(into).next = gone.next;
  if (gone.next != kNone) at(gone.next).previous = into;
  int32_t& tail = tails_[gone.small ? 0 : 1];
  if (tail == neighbour) tail = into;
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
  pool(at(block).small).insert({at(block).size, at(block).address, block});
}
void CachingAllocator::uncache(int32_t block) {
  pool(at(block).small).erase({at(block).size, at(block).address, block});
}

void CachingAllocator::raise_peak() {
  peak_.rounded = std::max(peak_.rounded, now_.rounded);
  peak_.allocated = std::max(peak_.allocated, now_.allocated);
  peak_.reserved = std::max(peak_.reserved, now_.reserved);
}

std::vector<CachingAllocator::View> CachingAllocator::blocks() const {
  std::vector<View> views;
  for (const Block& block : blocks_)
    if (block.size > 0) views.push_back({block.segment, block.address, block.size, block.in_use});
  sort_by(views, [](const View& view) { return view.address; });
  return views;
}

}  // namespace peakmem
