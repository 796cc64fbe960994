// torchtitan's own code on one rank, as measured: every phase of every record, to the byte.
#include <fstream>
#include <string>

#include "format/json.h"
#include "measured/torchtitan_record.h"
#include "torchtitan/step.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

/// The records' empty "model" phase of step 1 and their "end" are none of ours.
bool is_ours(const PhaseReport& phase) { return phase.phase != "end" && !(phase.phase == "model" && phase.step == 1); }

void expect_met(const TorchtitanRecord& record) {
  const Program program = titan::trace_rank(record.job);
  if (record.job.degrees.tp == 1 && record.job.degrees.pp == 1) {
    EXPECT_EQ(program.parameters.number(), record.parameters);
  }
  const Result<Timeline> timeline = evaluate(program, {});
  ASSERT_TRUE(timeline);
  size_t next = 0;
  for (const PhaseReport& theirs : record.phases) {
    if (!is_ours(theirs)) continue;
    ASSERT_LT(next, timeline->size());
    const Phase& phase = program.phases[next];
    const PhaseLevels& ours = (*timeline)[next++];
    const std::string where = theirs.phase + " of step " + std::to_string(theirs.step);
    EXPECT_EQ(phase.name, theirs.phase) << where;
    EXPECT_EQ(ours.start.tensors, theirs.start_bytes) << where;
    EXPECT_EQ(ours.tensors.bytes, theirs.peak_bytes) << where;
    EXPECT_EQ(ours.end.tensors, theirs.end_bytes) << where;
  }
  EXPECT_EQ(next, timeline->size());
}

/// How many records a file has, and how many of them are of what is modelled; these are met.
struct Count {
  int64_t all = 0;
  int64_t met = 0;
};
Count expect_all_met(const std::string& name) {
  std::ifstream file(PEAKMEM_ROOT "/tests/data/" + name);
  EXPECT_TRUE(file.good());
  Count count;
  for (std::string line; std::getline(file, line); ++count.all) {
    SCOPED_TRACE(name + ", record " + std::to_string(count.all));
    const Result<Value> value = parse_json(line);
    EXPECT_TRUE(value);
    if (!value) continue;
    const Result<TorchtitanRecord> record = read_torchtitan_record(*value);
    if (!record) continue;
    expect_met(*record);
    ++count.met;
  }
  return count;
}

TEST(TorchtitanRecords, AreMetToTheByte) {
  const Count count = expect_all_met("torchtitan.jsonl");
  EXPECT_EQ(count.all, 40);
  EXPECT_EQ(count.met, 37);
}

TEST(TorchtitanRecords, OfOtherDegreesTogetherAreMetToo) {
  const Count count = expect_all_met("torchtitan_more.jsonl");
  EXPECT_EQ(count.met, count.all);
  EXPECT_EQ(count.all, 26);
}

}  // namespace
}  // namespace peakmem
