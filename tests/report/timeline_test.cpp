#include "estimate/timeline.h"
#include "../train/jobs.h"
#include "format/json.h"
#include "report/timeline_text.h"

namespace peakmem {
namespace {

using testing::random_job;

Request request_of(const Job& job) {
  Request request;
  request.name = "a<b>&\"c\"";
  request.job = job;
  return request;
}

/// Whether every element of a text is closed in order: as much XML as the picture needs.
bool is_balanced(std::string_view text) {
  std::vector<std::string> open;
  for (size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
    const size_t end = text.find('>', at);
    if (end == std::string_view::npos) return false;
    const std::string_view tag = text.substr(at + 1, end - at - 1);
    if (tag.ends_with('/')) continue;
    if (!tag.starts_with('/')) {
      open.emplace_back(tag.substr(0, tag.find(' ')));
    } else {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

TEST(Timeline, KeepsThePeak) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const Result<MemoryTimeline> timeline = memory_timeline(random_job(seed), nullptr);
    ASSERT_TRUE(timeline);
    if (timeline->report.allocated_step == 2) {
      EXPECT_EQ(timeline->peak.bytes, timeline->report.block_bytes) << "seed " << seed;
    }
    int64_t highest = 0;
    for (const TimelinePoint& point : timeline->points) highest = std::max(highest, point.bytes);
    EXPECT_EQ(highest, timeline->peak.bytes);
    for (size_t i = 1; i < timeline->points.size(); ++i)
      EXPECT_LT(timeline->points[i - 1].event, timeline->points[i].event);
    EXPECT_LE(timeline->points.size(), 4000U);
    EXPECT_EQ(timeline->phases.back().last, timeline->events);
  }
}

TEST(Timeline, DeepModelsHaveAsManyPoints) {
  Job job = random_job(1);
  job.description.layers = 1'000'000;
  job.description.runs = {{1'000'000, false}};
  const Result<MemoryTimeline> timeline = memory_timeline(job, nullptr);
  ASSERT_TRUE(timeline);
  EXPECT_LE(timeline->points.size(), 4000U);
  EXPECT_EQ(timeline->peak.bytes, timeline->report.block_bytes);
  EXPECT_EQ(timeline->phases.back().last, timeline->events);
}

TEST(Timeline, IsWellFormedInEveryFormat) {
  const Job job = random_job(7);
  const Result<MemoryTimeline> timeline = memory_timeline(job, nullptr);
  ASSERT_TRUE(timeline);
  const Request request = request_of(job);
  EXPECT_TRUE(is_balanced(timeline_svg(*timeline, request)));
  EXPECT_NE(timeline_svg(*timeline, request).find("a&lt;b&gt;&amp;&quot;c&quot;"), std::string::npos);

  const Result<Value> trace = parse_json(timeline_perfetto(*timeline, request));
  ASSERT_TRUE(trace);
  ASSERT_NE(trace->find("traceEvents"), nullptr);

  const std::string csv = timeline_csv(*timeline);
  EXPECT_TRUE(csv.starts_with("event,phase,bytes\n"));
  size_t line = 0;
  for (size_t at = 0; at < csv.size(); at = csv.find('\n', at) + 1, ++line)
    EXPECT_EQ(std::count(csv.begin() + static_cast<ptrdiff_t>(at),
                         csv.begin() + static_cast<ptrdiff_t>(csv.find('\n', at)), ','),
              2);
  EXPECT_EQ(line, timeline->points.size() + 1);
}

}  // namespace
}  // namespace peakmem
