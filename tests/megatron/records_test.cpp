// Megatron-Core's own code on one rank, as measured: every phase of every record, to the byte.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "device/gpu.h"
#include "device/replay.h"
#include "format/given.h"
#include "format/json.h"
#include "measured/megatron_record.h"
#include "megatron/step.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

/// The records' empty "model" phase of step 1 and their "end" are none of ours.
bool is_ours(const PhaseReport& phase) { return phase.phase != "end" && !(phase.phase == "model" && phase.step == 1); }

/// The phases of a trace as the records have them: under a pipeline what micro-batches do is one.
std::vector<PhaseReport> phases_of(const Program& program, const Timeline& timeline, bool is_piped) {
  std::vector<PhaseReport> phases;
  for (size_t i = 0; i < timeline.size(); ++i) {
    const Phase& phase = program.phases[i];
    const PhaseLevels& levels = timeline[i];
    const bool is_turn = phase.name == std::string("forward") || phase.name == std::string("backward");
    const std::string name = is_piped && is_turn ? "forward_backward" : phase.name;
    if (is_piped && is_turn && !phases.empty() && phases.back().phase == name) {
      phases.back().peak_bytes = std::max(phases.back().peak_bytes, levels.tensors.bytes);
      phases.back().end_bytes = levels.end.tensors;
      continue;
    }
    phases.push_back({phase.step, -1, name, levels.start.tensors, levels.tensors.bytes, levels.end.tensors});
  }
  return phases;
}

void expect_met(const MegatronRecord& record) {
  SCOPED_TRACE(record.id);
  const Program program = mcore::trace_rank(record.job);
  EXPECT_EQ(program.parameters.number(), record.parameters);
  const Result<Timeline> timeline = evaluate(program, {});
  ASSERT_TRUE(timeline);
  const std::vector<PhaseReport> ours = phases_of(program, *timeline, record.job.degrees.pp > 1);
  size_t next = 0;
  for (const PhaseReport& theirs : record.phases) {
    if (!is_ours(theirs)) continue;
    ASSERT_LT(next, ours.size());
    const PhaseReport& phase = ours[next++];
    const std::string where = theirs.phase + " of step " + std::to_string(theirs.step);
    EXPECT_EQ(phase.phase, theirs.phase) << where;
    EXPECT_EQ(phase.start_bytes, theirs.start_bytes) << where;
    EXPECT_EQ(phase.peak_bytes, theirs.peak_bytes) << where;
    EXPECT_EQ(phase.end_bytes, theirs.end_bytes) << where;
  }
  EXPECT_EQ(next, ours.size());
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
  EXPECT_EQ(count, 47);
}

/// Ranks of Megatron-LM's pretrain_gpt.py over PyTorch's own allocator, each at its own commit: what was asked for is
/// met, but for up to 8 bytes that the commits of three rows keep otherwise; what was allocated within 0.6 %, since
/// which cached blocks are handed out whole depends on all that ran before.
TEST(MegatronRecords, RequestsAreMet) {
  std::ifstream file(PEAKMEM_ROOT "/tests/data/megatron_gpu.jsonl");
  ASSERT_TRUE(file.good());
  int64_t count = 0;
  int64_t exact = 0;
  for (std::string line; std::getline(file, line); ++count) {
    const Result<Value> value = parse_json(line);
    ASSERT_TRUE(value);
    const Given given(&*value);
    SCOPED_TRACE(given.text("name"));
    Result<mcore::Job> job = read_megatron_case(*given.find("case"));
    ASSERT_TRUE(job);
    const Gpu* gpu = find_gpu(given.text("gpu"));
    job->processor = processor_of(*gpu);
    const std::string conf = given.text("alloc_conf");
    const AllocatorOptions options = conf.empty() ? AllocatorOptions{} : *parse_alloc_conf(conf, "");
    const Replayed replayed = replay(mcore::trace_rank(*job), options, given.size("cublas_workspace", 0));
    EXPECT_LE(std::abs(replayed.peak.requested - given.size("requested", 0)), 8);
    const auto allocated = static_cast<double>(given.size("allocated", 0));
    EXPECT_NEAR(static_cast<double>(replayed.peak.allocated), allocated, 0.006 * allocated);
    if (replayed.peak.requested == given.size("requested", 0)) ++exact;
  }
  EXPECT_EQ(count, 27);
  EXPECT_EQ(exact, 24);
}

/// Models like LLaMA, Qwen3 and Mixtral over TransformerEngine's modules: Megatron-Core's own code and
/// TransformerEngine's Python over PyTorch's allocator, TransformerEngine's C++ by what its host code allocates. The
/// loop there is a bare one, 4 bytes short of pretrain_gpt.py's.
TEST(MegatronRecords, LlamaLikeRequestsAreMet) {
  std::ifstream file(PEAKMEM_ROOT "/tests/data/megatron_llama.jsonl");
  ASSERT_TRUE(file.good());
  int64_t count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    const Result<Value> value = parse_json(line);
    ASSERT_TRUE(value);
    const Given given(&*value);
    SCOPED_TRACE(given.text("name"));
    Result<mcore::Job> job = read_megatron_case(*given.find("case"));
    ASSERT_TRUE(job);
    const Gpu* gpu = find_gpu(given.text("gpu"));
    job->processor = processor_of(*gpu);
    const Replayed replayed = replay(mcore::trace_rank(*job), AllocatorOptions{}, cublas_workspace_bytes(gpu));
    EXPECT_EQ(replayed.peak.requested - 4, given.size("requested", 0));
    const auto allocated = static_cast<double>(given.size("allocated", 0));
    EXPECT_NEAR(static_cast<double>(replayed.peak.allocated), allocated, 0.002 * allocated);
  }
  EXPECT_EQ(count, 7);
}

}  // namespace
}  // namespace peakmem
