#include "request/trace_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "estimate/estimate.h"
#include "format/json.h"

namespace peakmem {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<fs::path> files() {
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator(PEAKMEM_ROOT "/tests/request/traces")) all.push_back(entry.path());
  return all;
}

Job job_of(const std::shared_ptr<const Recording>& recording) {
  Job job;
  job.recording = recording;
  job.letters = recording->values();
  return job;
}

// A file says itself what must come of it: "x-peak" the bytes of tensors at its peak, or "x-refused" what the error
// says.
TEST(TraceFile, EveryFileDoesWhatItSays) {
  for (const fs::path& path : files()) {
    SCOPED_TRACE(path.filename());
    const std::string text = text_of(path);
    const Result<Value> json = parse_json(text);
    ASSERT_TRUE(json);
    const auto recording = read_trace(text);
    if (const Value* refused = json->find("x-refused"); refused != nullptr) {
      ASSERT_FALSE(recording);
      const std::string said = recording.error().field + ": " + recording.error().problem;
      EXPECT_NE(said.find(refused->string), std::string::npos) << said;
      continue;
    }
    ASSERT_TRUE(recording) << recording.error().field << ": " << recording.error().problem;
    const Job job = job_of(*recording);
    const bool replays = can_be_replayed(**recording, job.letters);
    const Result<Report> report = estimate(job, nullptr, replays ? std::optional(AllocatorOptions{}) : std::nullopt);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->tensor_bytes, json->find("x-peak")->integer);
  }
}

TEST(TraceFile, WhatIsCutOffIsRefused) {
  const std::string text = text_of(PEAKMEM_ROOT "/tests/request/traces/written_out.peakmem");
  for (size_t length = 0; length + 2 < text.size(); ++length) {
    const auto recording = read_trace(std::string_view(text).substr(0, length));
    ASSERT_FALSE(recording) << length;
    EXPECT_FALSE(recording.error().problem.empty());
  }
}

TEST(TraceFile, LettersHaveOtherValuesWithinTheGuards) {
  const auto recording = read_trace(text_of(PEAKMEM_ROOT "/tests/request/traces/layers.peakmem"));
  ASSERT_TRUE(recording);
  Job job = job_of(*recording);
  job.letters = {24, 100};
  EXPECT_FALSE(check_values(**recording, job.letters));
  const Result<Report> report = estimate(job, nullptr, std::nullopt);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->tensor_bytes, 100 * (100 + 240) + 8);
  EXPECT_TRUE(check_values(**recording, {20, 100}));
  EXPECT_TRUE(check_values(**recording, {24, 3}));
  EXPECT_TRUE(check_values(**recording, {24, 2'000'000}));
}

// What the file writes out is what the repeats stand for.
TEST(TraceFile, AReplayNeedsTheStepsWrittenOut) {
  const auto folded = read_trace(text_of(PEAKMEM_ROOT "/tests/request/traces/layers.peakmem"));
  const auto written = read_trace(text_of(PEAKMEM_ROOT "/tests/request/traces/written_out.peakmem"));
  ASSERT_TRUE(folded && written);
  EXPECT_FALSE(can_be_replayed(**folded, {16, 6}));
  EXPECT_TRUE(can_be_replayed(**written, {16, 6}));
  EXPECT_TRUE(can_be_replayed(**written, {32, 6}));
  EXPECT_FALSE(can_be_replayed(**written, {16, 7}));
  const Result<Report> report = estimate(job_of(*written), nullptr);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->block_bytes, report->allocated_bytes);
}

}  // namespace
}  // namespace peakmem
