#include "measured/measurement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "estimate/diff.h"
#include "format/json.h"
#include "format/json_writer.h"
#include "measured/measured.h"
#include "measured/record.h"

namespace peakmem {
namespace {

std::string repository_file(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(std::string(PEAKMEM_ROOT) + "/" + name, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<std::string> lines_of(const std::string& name) {
  std::istringstream text(repository_file(name));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

/// A measurement against our trace of `job`, or of its own.
Diff diff_of(const Measurement& measurement, const MeasurementChoice& choice, const Job* job = nullptr) {
  LiveView view = view_for(measurement, choice, nullptr);
  view.workspace_bytes = 0;  // these were made without a GPU
  Result<LivePeak> ours = live_peak(job != nullptr ? *job : *measurement.job, view);
  EXPECT_TRUE(ours);
  return diff(measurement.peak, *ours);
}

void expect_equal(const Diff& diff, const std::string& where) {
  EXPECT_EQ(diff.difference(), 0) << where;
  EXPECT_EQ(diff.earlier.difference(), 0) << where;
  EXPECT_EQ(diff.unlisted.difference(), 0) << where;
  EXPECT_FALSE(diff.rows.empty()) << where;
  for (const DiffRow& row : diff.rows) EXPECT_EQ(row.difference(), 0) << where << ": " << row.bytes << " bytes";
}

class RecordsBySize : public ::testing::TestWithParam<const char*> {};

TEST_P(RecordsBySize, HaveEverySizeAsOftenAsOurs) {
  const std::vector<std::string> lines = lines_of(std::string("oracle/records/") + GetParam());
  ASSERT_FALSE(lines.empty());
  for (size_t i = 0; i < lines.size(); i += 3) {
    const Result<Measurement> measurement = read_measurement(lines[i], {});
    if (!measurement) continue;  // not modelled
    expect_equal(diff_of(*measurement, {}), "record " + std::to_string(i + 1));
  }
}

INSTANTIATE_TEST_SUITE_P(Oracle, RecordsBySize,
                         ::testing::Values("one_gpu.jsonl", "one_gpu_random.jsonl", "lora.jsonl", "gemma_mixtral.jsonl",
                                           "fsdp2.jsonl", "images_and_targets.jsonl", "freeze.jsonl",
                                           "mask_gradient_last_token.jsonl"));

/// Calls `check` with cases of the records, the text of each and our trace of it with every layer for itself.
template <class Check>
void for_cases(const char* file, size_t stride, const Check& check) {
  const std::vector<std::string> lines = lines_of(std::string("oracle/records/") + file);
  ASSERT_FALSE(lines.empty());
  for (size_t i = 0; i < lines.size(); i += stride) {
    const Result<Value> line = parse_json(lines[i]);
    ASSERT_TRUE(line);
    const Value* what = line->find("case");
    const Result<Job> job = read_case(*what);
    if (job) check(to_json(*what, 0), *job, trace_step(*job, number_dims(*job), true));
  }
}

TEST(Measurement, OurTraceWrittenAsATraceIsOurs) {
  for (const char* file : {"one_gpu_random.jsonl", "fsdp2_more.jsonl"})
    for_cases(file, 5, [](const std::string& what, const Job&, const Program& program) {
      for (const int64_t step : {1, 2}) {
        MeasurementChoice choice;
        choice.step = step;
        for (const char* phase : {"", "forward", "backward", "optimizer"}) {
          choice.phase = phase;
          const Result<Measurement> measurement = read_measurement(testing::as_trace(program, what), choice);
          ASSERT_TRUE(measurement) << measurement.error().field << ": " << measurement.error().problem;
          const Diff result = diff_of(*measurement, choice);
          expect_equal(result, what + " " + phase);
          for (const DiffSum& sum : result.phases) EXPECT_EQ(sum.difference(), 0) << sum.name;
        }
      }
    });
}

TEST(Measurement, OurTraceWrittenAsASnapshotIsOurs) {
  for_cases("one_gpu_random.jsonl", 9, [](const std::string& what, const Job& job, const Program& program) {
    const size_t events = testing::events_of(program).size();
    const size_t update = events - events / 50;  // some way before the end, when much is in use
    for (const size_t first : {size_t{0}, events / 3}) {
      const Result<Measurement> measurement = read_measurement(testing::as_snapshot(program, first, update), {});
      ASSERT_TRUE(measurement) << measurement.error().problem;
      EXPECT_EQ(measurement->notes.size(), 1U);
      expect_equal(diff_of(*measurement, {}, &job), what);
    }
  });
}

TEST(Measurement, AStorageTooManyIsARow) {
  std::string trace = repository_file("tests/data/gpt2_trace.txt");
  const size_t at = trace.find("=== forward of step 2");
  ASSERT_NE(at, std::string::npos);
  trace.insert(at, "+12345  #999999  float32 [12345]  mystery\n");
  EXPECT_FALSE(read_measurement(trace, {}));  // the headings say another sum
  std::string headed;
  std::istringstream lines(trace);
  for (std::string line; std::getline(lines, line);) {
    const size_t comma = line.find(", ");
    if (headed.find("mystery") != std::string::npos && line.starts_with("==="))
      line = line.substr(0, comma + 2) + std::to_string(std::stoll(line.substr(comma + 2)) + 12345) + " bytes live";
    headed += line + "\n";
  }
  const Result<Measurement> measurement = read_measurement(headed, {});
  ASSERT_TRUE(measurement) << measurement.error().problem;
  const Diff result = diff_of(*measurement, {});
  EXPECT_EQ(result.difference(), -12345);
  EXPECT_EQ(result.rows[0].bytes, 12345);
  EXPECT_EQ(result.rows[0].difference(), -12345);
  EXPECT_EQ(result.rows[0].their_groups[0].name, "float32 [12345]  mystery");
  EXPECT_EQ(result.rows[1].difference(), 0);
}

TEST(Measurement, AMeasuredTraceIsOurs) {
  const Result<Measurement> measurement = read_measurement(repository_file("tests/data/gpt2_trace.txt"), {});
  ASSERT_TRUE(measurement) << measurement.error().problem;
  expect_equal(diff_of(*measurement, {}), "gpt2");
}

TEST(Measurement, ATraceCutOffIsRefused) {
  const std::string trace = repository_file("tests/data/gpt2_trace.txt");
  for (size_t length = 0; length < trace.find("=== end"); length += 41)
    EXPECT_FALSE(read_measurement(std::string_view(trace).substr(0, length), {})) << length;
}

TEST(Measurement, ARecordThatSaysMoreThanItsSumIsRefused) {
  std::string line = lines_of("oracle/records/one_gpu.jsonl")[0];
  const size_t at = line.find("\"bytes_each\":");
  ASSERT_NE(at, std::string::npos);
  line.insert(at + 13, "9999999");
  const Result<Measurement> measurement = read_measurement(line, {});
  ASSERT_FALSE(measurement);
  EXPECT_EQ(measurement.error().problem, "is more than peak.bytes");
}

}  // namespace
}  // namespace peakmem
