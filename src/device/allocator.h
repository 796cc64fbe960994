// PyTorch's CUDA caching allocator: the rules by which it takes segments from CUDA and cuts them into blocks
// (c10/cuda/CUDACachingAllocator.cpp, torch 2.13). All sizes are bytes.
//
//     segment │ block in use │ free │ block in use │ free        one cudaMalloc; free neighbours merge,
//             └──────────────┴──────┴──────────────┴─────        and the segment stays when all of it is free
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <map>
#include <memory_resource>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "size/result.h"
#include "trace/program.h"

namespace peakmem {

/// What PYTORCH_ALLOC_CONF sets. garbage_collection_threshold only acts under set_per_process_memory_fraction, which
/// the traced loop does not call; it is read and checked, and changes nothing.
struct AllocatorOptions {
  bool expandable_segments = false;
  int64_t max_split_size = std::numeric_limits<int64_t>::max();
  int64_t roundup_power2_divisions = 0;
  double garbage_collection_threshold = 0;
};

/// Options from `expandable_segments:True,max_split_size_mb:128`, as PYTORCH_ALLOC_CONF has them; `field` names the
/// text in an error.
Result<AllocatorOptions> parse_alloc_conf(std::string_view text, std::string_view field);

/// A caching allocator of one device; what is freed goes back to the stream it was made for. A segment is put at the
/// lowest address where it has room: which of two equal blocks is taken can differ on a device, whose driver chooses
/// addresses.
class CachingAllocator {
 public:
  /// What the allocator's statistics say.
  struct Stats {
    int64_t requested = 0;  // what is in use, as it was asked for (requested_bytes)
    int64_t rounded = 0;    // what is in use, each request rounded up to 512 whatever the options
    int64_t allocated = 0;  // the blocks in use: also what was too small to be split off
    int64_t reserved = 0;   // the segments
  };
  /// A stretch of a segment, for tests.
  struct View {
    int64_t segment;
    int64_t address;
    int64_t size;
    bool in_use;
  };
  static constexpr int32_t kNone = -1;

  explicit CachingAllocator(const AllocatorOptions& options, int64_t capacity = std::numeric_limits<int64_t>::max());

  /// A block's handle; kNone for no bytes, and where the capacity does not suffice (`out_of_memory` then says so).
  int32_t allocate(int64_t bytes, Stream stream = Stream::kMain);
  void free(int32_t block);
  /// torch.cuda.empty_cache(): segments without a block in use go back to CUDA.
  void release_cached();

  const Stats& now() const { return now_; }
  const Stats& peak() const { return peak_; }
  void reset_peak() { peak_ = now_; }
  bool out_of_memory() const { return out_of_memory_; }
  /// How often what was cached had to go for a request (num_alloc_retries).
  int32_t retries() const { return retries_; }
  /// Every block by address.
  std::vector<View> blocks() const;
  /// What a request takes before it is matched with a block.
  int64_t rounded(int64_t bytes) const;
  /// What it asks CUDA for where no block suffices: the "Tried to allocate" of PyTorch's message.
  int64_t segment_of(int64_t bytes) const;

 private:
  struct Block {
    int64_t address = 0;
    int64_t size = 0;
    int64_t requested = 0;
    int64_t rounded = 0;  // of the request
    int32_t segment = 0;  // by order of cudaMalloc
    int32_t previous = kNone;
    int32_t next = kNone;
    uint8_t pool = 0;
    bool in_use = false;
    bool mapped = true;  // of an expandable segment: has memory behind its addresses
  };
  /// Best fit: by size, then by address.
  struct Free {
    int64_t size;
    int64_t address;
    int32_t block;
    auto operator<=>(const Free&) const = default;
  };
  /// What may be given to requests of one stream that are small, or to those that are large.
  struct Pool {
    explicit Pool(std::pmr::memory_resource* memory) : cached(memory), unmapped(memory) {}
    std::pmr::set<Free> cached;
    std::pmr::set<std::pair<int64_t, int32_t>> unmapped;  // by address
    int64_t spans = 0;                                    // expandable segments it ever had
    bool small = false;
  };

  Block& at(int32_t block) { return blocks_[static_cast<size_t>(block)]; }
  const Block& at(int32_t block) const { return blocks_[static_cast<size_t>(block)]; }
  Pool& pool_of(int32_t block) { return pools_[at(block).pool]; }
  bool is_free(int32_t block, bool mapped) const {
    return block != kNone && !at(block).in_use && at(block).mapped == mapped;
  }
  int32_t new_block(const Block& block);
  int32_t best_fit(int64_t size, const Pool& pool) const;
  int64_t size_grown(int32_t block) const;
  int32_t more(int64_t size, uint8_t pool);
  int32_t new_segment(int64_t size, uint8_t pool);
  int64_t place(int64_t bytes);
  int32_t new_span(uint8_t pool);
  int32_t room_to_grow(int64_t size, uint8_t pool);
  int32_t expand(int64_t size, uint8_t pool);
  int32_t map(int32_t block, int64_t size);
  void unmap(int32_t block);
  bool take_from_device(int64_t bytes);
  bool should_split(int32_t block, int64_t size);
  int32_t split(int32_t block, int64_t size);
  int32_t merge_around(int32_t block);
  void merge(int32_t into, int32_t neighbour);
  void cache(int32_t block);
  void uncache(int32_t block);
  void raise_peak();

  AllocatorOptions options_;
  int64_t capacity_;
  std::vector<Block> blocks_;
  std::vector<int32_t> spare_;                        // places in blocks_ that are free again
  std::pmr::unsynchronized_pool_resource memory_;     // of the pools, whose nodes come and go with every block
  std::vector<Pool> pools_;                           // small and large of each stream
  std::pmr::map<int64_t, int64_t> placed_{&memory_};  // the segments' addresses and sizes
  bool has_holes_ = false;                            // between them, since some were given back
  int32_t segments_ = 0;
  Stats now_;
  Stats peak_;
  int32_t retries_ = 0;
  bool out_of_memory_ = false;
};

}  // namespace peakmem
