// torchtitan's own code on one rank, as measured: every phase of every record, to the byte.
#include <fstream>
#include <string>

#include "io/json.h"
#include "io/torchtitan_record.h"
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

TEST(TorchtitanRecords, AreMetToTheByte) {
  std::ifstream file(PEAKMEM_ROOT "/tests/data/torchtitan.jsonl");
  ASSERT_TRUE(file.good());
  int64_t number = 0;
  int64_t met = 0;
  for (std::string line; std::getline(file, line); ++number) {
    SCOPED_TRACE("record " + std::to_string(number));
    const Result<Value> value = parse_json(line);
    ASSERT_TRUE(value);
    const Result<TorchtitanRecord> record = read_torchtitan_record(*value);
    if (!record) continue;
    expect_met(*record);
    ++met;
  }
  EXPECT_EQ(number, 40);
  EXPECT_EQ(met, 29);
}

}  // namespace
}  // namespace peakmem
