#include "device/allocator.h"

#include <gtest/gtest.h>

#include <random>

namespace peakmem {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

AllocatorOptions conf(const char* text) {
  const Result<AllocatorOptions> options = parse_alloc_conf(text, "--alloc-conf");
  EXPECT_TRUE(options) << text;
  return options ? *options : AllocatorOptions{};
}

TEST(Allocator, RoundsTo512) {
  const CachingAllocator allocator({});
  for (const auto& [bytes, rounded] :
       {std::pair<int64_t, int64_t>{1, 512}, {512, 512}, {513, 1024}, {1 << 20, 1 << 20}})
    EXPECT_EQ(allocator.rounded(bytes), rounded);
}

// The examples of torch's notes on memory management: 1200 with 4 divisions is 1280, where 512 granules allow it.
TEST(Allocator, RoundsUpToDivisionsOfPowersOfTwo) {
  const CachingAllocator allocator(conf("roundup_power2_divisions:4"));
  EXPECT_EQ(allocator.rounded(1200), 1536);  // 4 · 512 and less are left to the 512s
  EXPECT_EQ(allocator.rounded(4096), 4096);
  EXPECT_EQ(allocator.rounded(4097), 5120);
  EXPECT_EQ(allocator.rounded(9 * kMiB), 10 * kMiB);
}

TEST(Allocator, TakesSegmentsBySize) {
  for (const auto& [bytes, segment] : {std::pair<int64_t, int64_t>{1, 2 * kMiB},
                                       {kMiB, 2 * kMiB},
                                       {kMiB + 1, 20 * kMiB},
                                       {10 * kMiB - 512, 20 * kMiB},
                                       {10 * kMiB, 10 * kMiB},
                                       {11 * kMiB, 12 * kMiB},
                                       {25 * kMiB, 26 * kMiB}}) {
    CachingAllocator allocator({});
    allocator.allocate(bytes);
    EXPECT_EQ(allocator.now().reserved, segment) << bytes;
  }
}

// A rest of at most 1 MiB stays part of a large block, and counts as allocated.
TEST(Allocator, SplitsWhatIsLeft) {
  CachingAllocator allocator({});
  allocator.allocate(11 * kMiB);
  EXPECT_EQ(allocator.now().allocated, 12 * kMiB);
  EXPECT_EQ(allocator.now().rounded, 11 * kMiB);
  allocator.allocate(2 * kMiB);
  EXPECT_EQ(allocator.now().allocated, 14 * kMiB);
  EXPECT_EQ(allocator.now().reserved, 32 * kMiB);
  EXPECT_EQ(allocator.blocks().size(), 3U);
}

TEST(Allocator, TakesTheSmallestBlockThatSuffices) {
  CachingAllocator allocator({});
  const int32_t big = allocator.allocate(40 * kMiB);
  const int32_t fitting = allocator.allocate(30 * kMiB);
  allocator.free(big);
  allocator.free(fitting);
  EXPECT_EQ(allocator.allocate(30 * kMiB), fitting);
  EXPECT_EQ(allocator.now().reserved, 70 * kMiB);
}

TEST(Allocator, MergesNeighbours) {
  CachingAllocator allocator({});
  const int32_t first = allocator.allocate(4 * kMiB);
  const int32_t second = allocator.allocate(4 * kMiB);
  const int32_t third = allocator.allocate(4 * kMiB);
  allocator.free(first);
  allocator.free(third);
  EXPECT_EQ(allocator.blocks().size(), 3U);
  allocator.free(second);
  ASSERT_EQ(allocator.blocks().size(), 1U);
  EXPECT_EQ(allocator.blocks()[0].size, 20 * kMiB);
  allocator.allocate(18 * kMiB);
  EXPECT_EQ(allocator.now().reserved, 20 * kMiB);
}

TEST(Allocator, PoolsDoNotMix) {
  CachingAllocator allocator({});
  allocator.free(allocator.allocate(8 * kMiB));
  allocator.allocate(kMiB);
  EXPECT_EQ(allocator.now().reserved, 22 * kMiB);
}

TEST(Allocator, KeepsLargeBlocksWholeAboveMaxSplitSize) {
  CachingAllocator allocator(conf("max_split_size_mb:64"));
  allocator.free(allocator.allocate(100 * kMiB));
  allocator.allocate(30 * kMiB);  // must not cut the 100
  EXPECT_EQ(allocator.now().reserved, 130 * kMiB);
  allocator.allocate(90 * kMiB);  // less than 20 MiB below: takes it whole
  EXPECT_EQ(allocator.now().reserved, 130 * kMiB);
  EXPECT_EQ(allocator.now().allocated, 130 * kMiB);
}

TEST(Allocator, ExpandableSegmentsGrow) {
  CachingAllocator allocator(conf("expandable_segments:True"));
  const int32_t first = allocator.allocate(11 * kMiB);
  EXPECT_EQ(allocator.now().reserved, 20 * kMiB);
  EXPECT_EQ(allocator.now().allocated, 11 * kMiB);
  allocator.allocate(11 * kMiB);  // 9 MiB of it are mapped
  EXPECT_EQ(allocator.now().reserved, 40 * kMiB);
  allocator.free(first);
  allocator.allocate(10 * kMiB);
  EXPECT_EQ(allocator.now().reserved, 40 * kMiB);
}

TEST(Allocator, ReleasesCachedSegmentsAtTheCapacity) {
  CachingAllocator allocator({}, 50 * kMiB);
  allocator.free(allocator.allocate(30 * kMiB));
  EXPECT_NE(allocator.allocate(40 * kMiB), CachingAllocator::kNone);
  EXPECT_EQ(allocator.now().reserved, 40 * kMiB);
  EXPECT_EQ(allocator.allocate(40 * kMiB), CachingAllocator::kNone);
  EXPECT_TRUE(allocator.out_of_memory());
}

// What a stream has freed is for that stream alone.
TEST(Allocator, StreamsDoNotMix) {
  for (const char* options : {"expandable_segments:False", "expandable_segments:True"}) {
    CachingAllocator allocator(conf(options));
    allocator.free(allocator.allocate(20 * kMiB));
    allocator.allocate(20 * kMiB, Stream::kAllGather);
    EXPECT_EQ(allocator.now().reserved, 40 * kMiB) << options;
    allocator.allocate(20 * kMiB);
    EXPECT_EQ(allocator.now().reserved, 40 * kMiB) << options;
  }
}

// Whole pages of what is cached are taken and mapped again where they are needed: also between blocks in use.
TEST(Allocator, ExpandableSegmentsGiveBackAtTheCapacity) {
  CachingAllocator allocator(conf("expandable_segments:True"), 100 * kMiB);
  const int32_t first = allocator.allocate(40 * kMiB);
  allocator.allocate(30 * kMiB);  // to the end of a page
  allocator.allocate(10 * kMiB);
  allocator.free(first);
  EXPECT_NE(allocator.allocate(50 * kMiB), CachingAllocator::kNone);
  EXPECT_EQ(allocator.retries(), 1);
  EXPECT_EQ(allocator.now().reserved, 100 * kMiB);
  EXPECT_EQ(allocator.allocate(20 * kMiB), CachingAllocator::kNone);
  EXPECT_TRUE(allocator.out_of_memory());
}

// A segment that was given back leaves a hole, and the next that has room there is put into it.
TEST(Allocator, ASegmentGoesWhereOneWasGivenBack) {
  CachingAllocator allocator({});
  const int32_t first = allocator.allocate(20 * kMiB);
  allocator.allocate(30 * kMiB);
  allocator.free(first);
  allocator.release_cached();
  allocator.allocate(24 * kMiB);
  EXPECT_EQ(allocator.blocks().back().address, 50 * kMiB);
  allocator.allocate(16 * kMiB);
  EXPECT_EQ(allocator.blocks().front().address, 0);
  EXPECT_EQ(allocator.blocks().front().size, 16 * kMiB);
}

// An expandable segment has addresses for an eighth more than the device's memory; behind them another one begins.
TEST(Allocator, AnExpandableSegmentEnds) {
  CachingAllocator allocator(conf("expandable_segments:True"), 160 * kMiB);
  const int32_t first = allocator.allocate(60 * kMiB);
  allocator.allocate(60 * kMiB);
  allocator.allocate(20 * kMiB);
  allocator.free(first);
  allocator.allocate(70 * kMiB);  // 40 MiB of addresses are left there
  EXPECT_EQ(allocator.retries(), 1);
  EXPECT_NE(allocator.blocks().back().segment, allocator.blocks().front().segment);
  EXPECT_EQ(allocator.now().reserved, 160 * kMiB);
}

TEST(Allocator, NothingTakesNoBlock) {
  CachingAllocator allocator({});
  EXPECT_EQ(allocator.allocate(0), CachingAllocator::kNone);
  allocator.free(CachingAllocator::kNone);
  EXPECT_EQ(allocator.now().reserved, 0);
}

TEST(AllocConf, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"", "expandable_segments", "expandable_segments:yes", "max_split_size_mb:20",
                           "max_split_size_mb:x", "roundup_power2_divisions:3", "garbage_collection_threshold:1.5",
                           "expandable_segments:True,", "backend:native"})
    EXPECT_FALSE(parse_alloc_conf(text, "--alloc-conf")) << text;
  EXPECT_EQ(parse_alloc_conf("max_split_size:128", "--alloc-conf").error().hint, "did you mean \"max_split_size_mb\"?");
  const AllocatorOptions options = conf(
      "expandable_segments:True,max_split_size_mb:128,garbage_collection_threshold:0.8,roundup_power2_divisions:8");
  EXPECT_TRUE(options.expandable_segments);
  EXPECT_EQ(options.max_split_size, 128 * kMiB);
  EXPECT_EQ(options.roundup_power2_divisions, 8);
}

// Blocks are neither on top of each other nor beside two free ones, and the sums are those of the blocks.
void check(const CachingAllocator& allocator) {
  int64_t in_use = 0;
  int64_t all = 0;
  const std::vector<CachingAllocator::View> blocks = allocator.blocks();
  for (size_t i = 0; i < blocks.size(); ++i) {
    all += blocks[i].size;
    if (blocks[i].in_use) in_use += blocks[i].size;
    if (i == 0) continue;
    EXPECT_GE(blocks[i].address, blocks[i - 1].address + blocks[i - 1].size);
    EXPECT_TRUE(blocks[i].in_use || blocks[i - 1].in_use || blocks[i].segment != blocks[i - 1].segment);
  }
  EXPECT_EQ(all, allocator.now().reserved);
  EXPECT_EQ(in_use, allocator.now().allocated);
  EXPECT_LE(allocator.now().allocated, allocator.now().reserved);
  EXPECT_LE(allocator.now().rounded, allocator.now().allocated);
}

TEST(Allocator, HoldsUnderAnySequence) {
  for (const char* text : {"expandable_segments:False", "expandable_segments:True", "max_split_size_mb:32",
                           "roundup_power2_divisions:4"}) {
    for (uint32_t seed = 0; seed < 20; ++seed) {
      std::mt19937 random(seed);
      CachingAllocator allocator(conf(text));
      std::vector<int32_t> live;
      for (int i = 0; i < 400; ++i) {
        if (!live.empty() && random() % 5 < 2) {
          std::swap(live[random() % live.size()], live.back());
          allocator.free(live.back());
          live.pop_back();
        } else {
          live.push_back(
              allocator.allocate(static_cast<int64_t>((uint64_t{1} << (random() % 27)) | (random() % 100'000))));
        }
        if (i % 20 == 0) check(allocator);
      }
      for (const int32_t block : live) allocator.free(block);
      check(allocator);
      EXPECT_EQ(allocator.now().allocated, 0);
      EXPECT_EQ(allocator.now().rounded, 0);
      const std::vector<CachingAllocator::View> blocks = allocator.blocks();  // each segment is whole again
      for (size_t i = 1; i < blocks.size(); ++i) EXPECT_NE(blocks[i].segment, blocks[i - 1].segment);
      if (allocator.now().reserved > 0 && std::string_view(text) != "expandable_segments:True") {
        allocator.release_cached();
        EXPECT_EQ(allocator.now().reserved, 0);
      }
    }
  }
}

}  // namespace
}  // namespace peakmem
