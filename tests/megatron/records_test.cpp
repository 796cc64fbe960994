// Megatron-Core's own code on one rank, as measured: every phase of every record, to the byte.
#include <fstream>
#include <string>

#include "format/json.h"
#include "measured/megatron_record.h"
#include "megatron/step.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

/// The records' empty "model" phase of step 1 and their "end" are none of ours.
bool is_ours(const PhaseReport& phase) { return phase.phase != "end" && !(phase.phase == "model" && phase.step == 1); }

void expect_met(const MegatronRecord& record) {
  SCOPED_TRACE(record.id);
  const Program program = mcore::trace_rank(record.job);
  EXPECT_EQ(program.parameters.number(), record.parameters);
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

TEST(MegatronRecords, AreMetToTheByte) {
  std::ifstream file(PEAKMEM_ROOT "/tests/data/megatron.jsonl");
  ASSERT_TRUE(file.good());
  int64_t count = 0;
  for (std::string line; std::getline(file, line);) {
    const Result<Value> value = parse_json(line);
    ASSERT_TRUE(value);
    const Result<MegatronRecord> record = read_megatron_record(*value);
    if (!record) continue;
    expect_met(*record);
    ++count;
  }
  EXPECT_EQ(count, 46);
}

}  // namespace
}  // namespace peakmem
