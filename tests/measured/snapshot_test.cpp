#include "measured/snapshot.h"

#include <gtest/gtest.h>

#include <string>

#include "measured/measurement.h"

namespace peakmem {
namespace {

Result<Measurement> snapshot(const std::string& segments, const std::string& traces) {
  return read_measurement("{\"segments\": [" + segments + "],\n\"device_traces\": [" + traces + "]}", {});
}

std::string block(int64_t address, int64_t size, const std::string& more) {
  return R"({"device": 0, "address": 0, "blocks": [{"address": )" + std::to_string(address) + R"(, "size": )" +
         std::to_string(size) + R"(, "state": "active_allocated")" + more + "}]}";
}

std::string event(const std::string& action, int64_t address, int64_t size, const std::string& more = {}) {
  return R"({"action": ")" + action + R"(", "addr": )" + std::to_string(address) + R"(, "size": )" +
         std::to_string(size) + more + "}";
}

TEST(Snapshot, WithoutHistoryIsWhatIsLiveAtTheDump) {
  const Result<Measurement> found = snapshot(block(512, 1024, R"(, "requested_size": 700)"), "");
  ASSERT_TRUE(found) << found.error().problem;
  EXPECT_EQ(found->peak.live.bytes, 700);
  EXPECT_FALSE(found->in_blocks);
  ASSERT_EQ(found->notes.size(), 1U);
  EXPECT_TRUE(found->notes[0].starts_with("it has no history"));
}

TEST(Snapshot, BlocksThatDoNotSayWhatWasAskedForAreRounded) {
  const Result<Measurement> found = snapshot(
      block(0, 1024, "") + "," + block(4096, 2048, R"(, "requested_size": 1100)"), "[" + event("alloc", 0, 900) + "]");
  ASSERT_TRUE(found) << found.error().problem;
  EXPECT_TRUE(found->in_blocks);
  EXPECT_EQ(found->peak.live.bytes, 1024 + 1536);
}

TEST(Snapshot, BlocksOfTorch20SayItInTheirHistory) {
  const Result<Measurement> found = snapshot(block(0, 1024, R"(, "history": [{"real_size": 900}])"), "");
  ASSERT_TRUE(found) << found.error().problem;
  EXPECT_FALSE(found->in_blocks);
  EXPECT_EQ(found->peak.live.bytes, 900);
}

TEST(Snapshot, PeakIsWhereTheHistoryIsHighest) {
  const std::string trace = "[" + event("alloc", 1, 100) + "," + event("alloc", 2, 50) + "," +
                            event("free_requested", 1, 100) + "," + event("free_completed", 1, 100) + "," +
                            event("alloc", 1, 60) + "," + event("free_requested", 3, 40) + "]";
  const Result<Measurement> found =
      snapshot(block(1, 512, R"(, "requested_size": 60)") + "," + block(2, 512, R"(, "requested_size": 50)"), trace);
  ASSERT_TRUE(found) << found.error().problem;
  const LiveSet& live = found->peak.live;
  EXPECT_EQ(live.bytes, 40 + 100 + 50);  // 40 was there before the history began
  ASSERT_EQ(live.groups.size(), 3U);
  EXPECT_EQ(live.groups[0].bytes, 40);
  EXPECT_EQ(live.groups[2].bytes, 100);
}

TEST(Snapshot, EventsThatDoNotFitAreSaid) {
  const Result<Measurement> found =
      snapshot(block(1, 512, R"(, "requested_size": 60)"), "[" + event("alloc", 7, 100) + "]");
  ASSERT_TRUE(found) << found.error().problem;
  ASSERT_EQ(found->notes.size(), 2U);
  EXPECT_TRUE(found->notes[1].starts_with("1 event of the history"));
}

TEST(Snapshot, OutOfMemoryIsSaid) {
  const Result<Measurement> found =
      snapshot(block(1, 512, R"(, "requested_size": 60)"), R"([{"action": "oom", "size": 1048576}])");
  ASSERT_TRUE(found) << found.error().problem;
  EXPECT_EQ(found->notes[0], "the run was out of memory when it asked for 1.00 MiB");
}

TEST(Snapshot, TheFullestDeviceIsTaken) {
  std::string other = block(1, 4096, R"(, "requested_size": 4000)");
  other.replace(other.find("\"device\": 0"), 11, "\"device\": 1");
  const Result<Measurement> found = snapshot(block(1, 512, R"(, "requested_size": 60)") + "," + other, "[], []");
  ASSERT_TRUE(found) << found.error().problem;
  EXPECT_EQ(found->peak.live.bytes, 4000);
  EXPECT_EQ(found->notes.back(), "of 2 devices this is number 1, the fullest");
}

TEST(Snapshot, FramesNameTheUsersCode) {
  const std::string frames =
      R"(, "frames": [{"filename": "??", "line": 0, "name": "at::native::empty"},)"
      R"({"filename": "/x/torch/nn/modules/linear.py", "line": 134, "name": "forward"},)"
      R"({"filename": "/x/transformers/models/gpt2/modeling_gpt2.py", "line": 312, "name": "forward"},)"
      R"({"filename": "/home/me/train.py", "line": 9, "name": "main"}])";
  const Result<Measurement> found = snapshot(block(1, 512, R"(, "requested_size": 60)" + frames), "");
  ASSERT_TRUE(found) << found.error().problem;
  EXPECT_EQ(found->peak.live.groups[0].name, "modeling_gpt2.py:312 forward");
}

TEST(Snapshot, DamageIsRefused) {
  EXPECT_FALSE(snapshot(block(1, 512, R"(, "requested_size": -60)"), ""));
  EXPECT_FALSE(snapshot(block(1, 512, R"(, "requested_size": 9223372036854775807)"), ""));
  EXPECT_FALSE(snapshot("", ""));
  EXPECT_FALSE(snapshot(block(1, 512, R"(, "requested_size": 60)"), "[" + event("alloc", 1, -1) + "]"));
  EXPECT_FALSE(read_measurement("{\"segments\": 7}", {}));
  std::string far = block(1, 512, "");
  far.replace(far.find("\"device\": 0"), 11, "\"device\": 999999999");
  EXPECT_FALSE(snapshot(far, ""));
}

}  // namespace
}  // namespace peakmem
