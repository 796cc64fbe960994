#include "request/gpu_choice.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(GpuChoice, EveryCardIsKnownByItsNameTitleAndAliases) {
  for (const Gpu& gpu : gpus()) {
    for (const std::string_view name : {gpu.name, gpu.title}) {
      const Result<GpuChoice> choice = parse_gpu(name);
      ASSERT_TRUE(choice) << name;
      EXPECT_EQ(choice->gpu, &gpu) << name;
    }
    for (std::string_view rest = gpu.aliases; !rest.empty();) {
      const size_t end = rest.find(' ');
      const Result<GpuChoice> choice = parse_gpu(rest.substr(0, end));
      ASSERT_TRUE(choice) << rest.substr(0, end);
      EXPECT_EQ(choice->gpu, &gpu) << rest.substr(0, end);
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
  }
}

TEST(GpuChoice, HasWhatIsPutToItAndTakenAway) {
  const Gpu& card = *find_gpu("rtx-4090");
  EXPECT_EQ(parse_gpu("rtx-4090:-1GiB")->gpu->memory_bytes, card.memory_bytes - (int64_t{1} << 30));
  EXPECT_EQ(parse_gpu("4090:+1GB")->gpu->memory_bytes, card.memory_bytes + 1'000'000'000);
  EXPECT_EQ(parse_gpu("4090:+1GB")->gpu->multiprocessors, card.multiprocessors);
  EXPECT_EQ(parse_gpu("24GiB")->gpu->memory_bytes, int64_t{24} << 30);
  EXPECT_EQ(parse_gpu("24GiB")->gpu->name, "24GiB");
  EXPECT_FALSE(parse_gpu("24GiB")->assumption.empty());
}

TEST(GpuChoice, MayBeSeveral) {
  EXPECT_EQ(parse_gpu("2xrtx-4090")->count, 2);
  EXPECT_EQ(parse_gpu("8x NVIDIA H100 80GB HBM3")->count, 8);
  EXPECT_EQ(parse_gpu("4x24GiB")->count, 4);
  EXPECT_EQ(gpus_of("t4, l4"), (std::vector<std::string>{"t4", "l4"}));
}

TEST(GpuChoice, RefusesWhatItCannotKnow) {
  for (const char* text : {"", "24", "24G", "nonesuch", "rtx-4090:", "rtx-4090:1GiB", "rtx-4090:-100GiB", "0xt4",
                           "99999999999xt4", "1MiB", "-24GiB", ":-1GiB"})
    EXPECT_FALSE(parse_gpu(text)) << text;
}

}  // namespace
}  // namespace peakmem
