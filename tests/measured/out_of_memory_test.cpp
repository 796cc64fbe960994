#include "measured/out_of_memory.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace peakmem {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGiB = int64_t{1} << 30;

OutOfMemory read(const std::string& text) {
  const Result<OutOfMemory> message = read_out_of_memory(text, "MESSAGE");
  EXPECT_TRUE(message) << text;
  return message ? *message : OutOfMemory{};
}

void expect_near(const std::optional<PrintedBytes>& printed, double gib) {
  ASSERT_TRUE(printed);
  EXPECT_TRUE(printed->holds(static_cast<int64_t>(gib * static_cast<double>(kGiB)))) << printed->bytes;
  EXPECT_LE(printed->slack, kGiB / 100);
}

// torch 1.13 and 2.0: what is reserved is said in all.
TEST(OutOfMemory, ReadsTheOldForm) {
  const OutOfMemory message = read(
      "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 6.14 GiB (GPU 0; 15.78 GiB total capacity; "
      "10.16 "
      "GiB already allocated; 4.18 GiB free; 10.75 GiB reserved in total by PyTorch) If reserved memory is >> "
      "allocated "
      "memory try setting max_split_size_mb to avoid fragmentation.");
  expect_near(message.tried, 6.14);
  expect_near(message.capacity, 15.78);
  expect_near(message.allocated, 10.16);
  expect_near(message.free, 4.18);
  ASSERT_TRUE(message.unallocated);
  EXPECT_NEAR(static_cast<double>(message.unallocated->bytes), 0.59 * static_cast<double>(kGiB), 10.0 * kMiB);
}

// From torch 2.1 on; that version wrote "capacty", and later ones name the process.
TEST(OutOfMemory, ReadsTheNewForm) {
  for (const char* capacity : {"GPU 0 has a total capacty of 79.15 GiB", "GPU 0 has a total capacity of 79.15 GiB"})
    for (const char* process : {"Process 12345 has 77.10 GiB memory in use.",
                                "Including non-PyTorch memory, this process has 77.10 GiB memory in use."}) {
      const OutOfMemory message =
          read(std::string("CUDA out of memory. Tried to allocate 786.00 MiB. ") + capacity +
               " of which 112.19 MiB is free. " + process +
               " Of the allocated memory 75.02 GiB is allocated by PyTorch, and 1.53 GiB is reserved by PyTorch but "
               "unallocated. If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF");
      EXPECT_TRUE(message.tried.holds(786 * kMiB));
      EXPECT_FALSE(message.tried.holds(787 * kMiB));
      expect_near(message.capacity, 79.15);
      expect_near(message.in_use, 77.10);
      expect_near(message.allocated, 75.02);
      expect_near(message.unallocated, 1.53);
    }
}

TEST(OutOfMemory, ReadsAPieceOfALog) {
  const OutOfMemory message =
      read("step 3\n  File \"x.py\"\nRuntimeError: CUDA out of memory. Tried to allocate 20.00\n MiB");
  EXPECT_EQ(message.tried.bytes, 20 * kMiB);
  EXPECT_FALSE(message.capacity);
  EXPECT_FALSE(message.allocated);
  EXPECT_EQ(read("Tried to allocate 512 bytes. x").tried.bytes, 512);
  // Of two messages the first counts, and none of the second's numbers.
  EXPECT_FALSE(
      read("Tried to allocate 2.00 GiB. Tried to allocate 4.00 GiB (GPU 0; 15.78 GiB total capacity").capacity);
}

TEST(OutOfMemory, SaysWhatIsNoMessage) {
  for (const char* text :
       {"", "hello", "Tried to allocate", "Tried to allocate GiB", "Tried to allocate 2.0.0 GiB",
        "Tried to allocate 2 apples", "Tried to allocate 0 bytes", "Tried to allocate 99999999999999 TiB"}) {
    const Result<OutOfMemory> message = read_out_of_memory(text, "MESSAGE");
    ASSERT_FALSE(message) << text;
    EXPECT_EQ(message.error().field, "MESSAGE");
    EXPECT_NE(message.error().hint.find("Tried to allocate 2.00 GiB"), std::string::npos);
  }
}

RC_GTEST_PROP(OutOfMemory, AnyTextIsReadOrRefused, (const std::string& text)) {
  const Result<OutOfMemory> whole = read_out_of_memory(text, "MESSAGE");
  const Result<OutOfMemory> behind = read_out_of_memory("Tried to allocate 1.5 GiB" + text, "MESSAGE");
  if (whole) RC_ASSERT(whole->tried.bytes > 0);
  if (behind) RC_ASSERT(behind->tried.bytes > 0);
}

}  // namespace
}  // namespace peakmem
