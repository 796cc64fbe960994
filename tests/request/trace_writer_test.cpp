#include "request/trace_writer.h"

#include "../train/jobs.h"
#include "estimate/estimate.h"
#include "estimate/failure.h"
#include "estimate/formula.h"
#include "estimate/live_set.h"
#include "estimate/timeline.h"
#include "plan/solve.h"
#include "report/report_json.h"
#include "request/recorded.h"
#include "request/trace_file.h"

namespace peakmem {
namespace {

using testing::random_job;

/// A job and what is read of the file that it was written to.
struct Pair {
  Job own;
  Job read;
};

Pair pair_of(uint32_t seed) {
  Request request;
  request.name = "random";
  request.job = random_job(seed);
  const Result<std::string> text = trace_text(request, {});
  EXPECT_TRUE(text);
  const auto recording = read_trace(*text);
  EXPECT_TRUE(recording) << "seed " << seed << ": " << recording.error().field << " " << recording.error().problem;
  Job read;
  if (recording) {
    read.recording = *recording;
    read.letters = (*recording)->values();
  }
  return {request.job, read};
}

/// The first line that differs, of both.
std::string difference(const std::string& a, const std::string& b) {
  const auto [at_a, at_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (at_a == a.end() && at_b == b.end()) return "";
  const auto line = [](const std::string& text, size_t at) {
    const size_t begin = text.rfind('\n', at) + 1;
    return text.substr(begin, text.find('\n', at) - begin);
  };
  return line(a, static_cast<size_t>(at_a - a.begin())) + " instead of " +
         line(b, static_cast<size_t>(at_b - b.begin()));
}

std::string printed(const FormulaReport& report) {
  std::string text;
  for (const auto* list : {&report.parts, &report.phases})
    for (const FormulaOf& one : *list) text += one.name + " " + one.at + ": " + print(one.bytes) + "\n";
  for (const FormulaOf* one :
       {&report.peak, &report.states, &report.kept_by_layers, &report.kept_by_rest, &report.head})
    text += one->name + " " + one->at + ": " + print(one->bytes) + "\n";
  return text;
}

TEST(TraceWriter, AFileAnswersAsItsModelDoes) {
  for (uint32_t seed = 0; seed < 27; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Pair pair = pair_of(seed);
    ASSERT_TRUE(pair.read.recording);
    const Gpu* gpu = seed % 2 == 0 ? nullptr : find_gpu("t4");
    Result<Report> own_report = estimate(pair.own, gpu);
    const Result<Report> read_report = estimate(pair.read, gpu);
    ASSERT_TRUE(own_report && read_report);
    own_report->modules.clear();  // a trace does not say what its ops compute
    EXPECT_EQ(difference(report_json(*read_report, {}), report_json(*own_report, {})), "");
    const Result<FormulaReport> own = formulas(pair.own);
    const Result<FormulaReport> read = formulas(pair.read);
    ASSERT_TRUE(own && read);
    EXPECT_EQ(difference(printed(*read), printed(*own)), "");
  }
}

// Within the guards a file with another value is the file of the model with that value.
TEST(TraceWriter, LettersTakeOtherValues) {
  int compared = 0;
  for (uint32_t seed = 0; seed < 30; ++seed) {
    Pair pair = pair_of(seed);
    testing::Dice dice(seed);
    for (size_t i = 0; i < pair.read.letters.size(); ++i) {
      const std::string& name = pair.read.recording->letters[i].name;
      int64_t Recipe::* const size = name == "B"   ? &Recipe::batch
                                     : name == "T" ? &Recipe::seq
                                     : name == "U" ? &Recipe::target_seq
                                                   : nullptr;
      if (size == nullptr) continue;
      const int64_t step = name == "B" ? 1 : 128;
      const int64_t other = pair.own.recipe.*size + step * dice.from(1, 3);
      Pair changed = pair;
      changed.read.letters[i] = other;
      changed.own.recipe.*size = other;
      if (check_values(*pair.read.recording, changed.read.letters)) continue;
      Result<Report> own = estimate(changed.own, nullptr);
      const Result<Report> read = estimate(changed.read, nullptr);
      ASSERT_TRUE(own && read);
      own->modules.clear();
      EXPECT_EQ(difference(report_json(*read, {}), report_json(*own, {})), "")
          << "seed " << seed << ", " << name << " = " << other;
      ++compared;
    }
  }
  EXPECT_GT(compared, 15);
}

TEST(TraceWriter, DepthIsALetter) {
  int compared = 0;
  for (uint32_t seed = 0; seed < 50; ++seed) {
    const Pair pair = pair_of(seed);
    Job own = pair.own;
    Job read = pair.read;
    const int32_t letter = find_letter(*read.recording, "L");
    if (letter < 0 || own.description.runs.size() != 1 || own.description.runs[0].alternates()) continue;
    if (own.description.decoder_layers > 0 || !own.recipe.freeze.patterns.empty()) continue;
    read.letters[static_cast<size_t>(letter)] = own.description.layers = own.description.runs[0].layers = 30;
    Result<Report> with_own = estimate(own, nullptr, std::nullopt);
    const Result<Report> with_read = estimate(read, nullptr, std::nullopt);
    ASSERT_TRUE(with_own && with_read);
    with_own->modules.clear();
    EXPECT_EQ(difference(report_json(*with_read, {}), report_json(*with_own, {})), "") << "seed " << seed;
    ++compared;
  }
  EXPECT_GT(compared, 4);
}

TEST(TraceWriter, TheTimelineTheLiveSetAndTheFailureAreTheSame) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Pair pair = pair_of(seed);
    const Result<MemoryTimeline> own = memory_timeline(pair.own, nullptr);
    const Result<MemoryTimeline> read = memory_timeline(pair.read, nullptr);
    ASSERT_TRUE(own && read);
    ASSERT_EQ(read->points.size(), own->points.size());
    for (size_t i = 0; i < own->points.size(); ++i) EXPECT_EQ(read->points[i].bytes, own->points[i].bytes);
    const Result<LivePeak> own_peak = live_peak(pair.own, {});
    const Result<LivePeak> read_peak = live_peak(pair.read, {});
    ASSERT_TRUE(own_peak && read_peak);
    ASSERT_EQ(read_peak->live.groups.size(), own_peak->live.groups.size());
    for (size_t i = 0; i < own_peak->live.groups.size(); ++i)
      EXPECT_EQ(read_peak->live.groups[i].name, own_peak->live.groups[i].name);
    Gpu gpu = *find_gpu("t4");
    gpu.memory_bytes = (gpu.context_low + gpu.context_high) / 2 + own->report.reserved.likely / 2;
    const Failure fails = point_of_failure(pair.own, gpu, AllocatorOptions{}, own->report);
    const Failure fails_read = point_of_failure(pair.read, gpu, AllocatorOptions{}, read->report);
    EXPECT_EQ(fails_read.allocation.module, fails.allocation.module);
    EXPECT_EQ(fails_read.allocation.op, fails.allocation.op);
    EXPECT_EQ(fails_read.allocation.reserved_bytes, fails.allocation.reserved_bytes);
  }
}

TEST(TraceWriter, TheLargestBatchIsTheSame) {
  int compared = 0;
  for (uint32_t seed = 0; seed < 10; ++seed) {
    Pair pair = pair_of(seed);
    const int32_t letter = find_letter(*pair.read.recording, "B");
    if (letter < 0) continue;
    pair.read.sought = static_cast<size_t>(letter);
    const Result<Report> report = estimate(pair.own, nullptr);
    ASSERT_TRUE(report);
    Gpu gpu = *find_gpu("t4");
    gpu.memory_bytes = report->device.likely * 3;
    const Result<Solution> own = solve(pair.own, Unknown::kBatch, gpu);
    const Result<Solution> read = solve(pair.read, Unknown::kLetter, gpu);
    ASSERT_TRUE(own && read);
    std::vector<int64_t> values = pair.read.letters;
    values[pair.read.sought] = own->next;
    if (own->value < 2 || check_values(*pair.read.recording, values)) continue;
    EXPECT_EQ(read->value, own->value) << "seed " << seed;
    EXPECT_EQ(read->peak_bytes, own->peak_bytes);
    ++compared;
  }
  EXPECT_GT(compared, 2);
}

}  // namespace
}  // namespace peakmem
