#include "io/trace_writer.h"

#include "../train/jobs.h"
#include "estimate/estimate.h"
#include "estimate/failure.h"
#include "estimate/formula.h"
#include "estimate/live_set.h"
#include "estimate/timeline.h"
#include "io/report_json.h"
#include "io/trace_file.h"
#include "plan/solve.h"

namespace peakmem {
namespace {

using testing::random_job;

/// A job and what is read of the file that it was written to.
struct Pair {
  Job own;
  Job read;
};

Pair pair_of(uint32_t seed) {
  Inquiry inquiry;
  inquiry.name = "random";
  inquiry.job = random_job(seed);
  const Result<std::string> text = trace_text(inquiry, {});
  EXPECT_TRUE(text);
  const auto recording = read_trace(*text);
  EXPECT_TRUE(recording) << "seed " << seed << ": " << recording.error().field << " " << recording.error().problem;
  Job read;
  if (recording) {
    read.recording = *recording;
    read.letters = (*recording)->values();
  }
  return {inquiry.job, read};
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
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Pair pair = pair_of(seed);
    ASSERT_TRUE(pair.read.recording);
    const Gpu* gpu = seed % 2 == 0 ? nullptr : find_gpu("t4");
    const Result<Report> own_report = estimate(pair.own, gpu);
    const Result<Report> read_report = estimate(pair.read, gpu);
    ASSERT_TRUE(own_report && read_report);
    EXPECT_EQ(difference(report_json(*read_report, {}), report_json(*own_report, {})), "");
    const Result<FormulaReport> own = formulas(pair.own);
    const Result<FormulaReport> read = formulas(pair.read);
    ASSERT_TRUE(own && read);
    EXPECT_EQ(difference(printed(*read), printed(*own)), "");
  }
}

}  // namespace
}  // namespace peakmem
