#include "report/held_records.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "format/json.h"

namespace peakmem {
namespace {

/// A file of oracle/gpu/records and how many of its numbers are not met to the byte; docs/accuracy.md says which.
struct File {
  const char* name;
  size_t allocated;
  size_t reserved;
  size_t verdicts;
  double worst = 1;  // the largest error of what is allocated
};
class GpuRecords : public ::testing::TestWithParam<File> {};

HeldRecords held(const std::string& text) {
  HeldRecords records;
  EXPECT_FALSE(hold_to_records(text, "records.jsonl", records));
  return records;
}

TEST_P(GpuRecords, AreMet) {
  std::ifstream file(std::string(PEAKMEM_ROOT "/oracle/gpu/records/") + GetParam().name + ".jsonl");
  ASSERT_TRUE(file);
  std::stringstream text;
  text << file.rdbuf();
  size_t records = 0, allocated = 0, reserved = 0, verdicts = 0;
  for (const AllocatorAccuracy& group : held(text.str()).gpus) {
    EXPECT_EQ(group.allocated.records_not_covered(), 0U) << group.name;
    records += group.verdicts;
    allocated += group.allocated.errors.size() - group.allocated.exact;
    reserved += group.reserved.errors.size() - group.reserved.exact;
    verdicts += group.wrong_verdicts;
    EXPECT_LE(group.allocated.worst(), GetParam().worst) << group.name;
  }
  EXPECT_GT(records, 0U);
  EXPECT_LE(allocated, GetParam().allocated);
  EXPECT_LE(reserved, GetParam().reserved);
  EXPECT_LE(verdicts, GetParam().verdicts);
}

/// The files of the second oracle, with how many of each may be off: in what is allocated, in what is reserved,
/// verdicts.
constexpr File kFiles[] = {
    {"a100-80gb", 0, 8, 0},
    {"every_case", 6, 22, 0, 0.005},
    {"every_rank", 4, 4, 0, 0.036},
    {"expandable", 0, 0, 0},
    {"fsdp2_trainers", 0, 0, 0},
    {"full_card", 0, 0, 1},
    {"h100-80gb", 0, 0, 0},
    {"l4", 0, 0, 0},
    {"large", 0, 0, 0},
    {"loss_kept", 0, 0, 0},
    {"pairs", 0, 2, 0},
    {"pairs_zero3", 8, 6, 0, 0.0015},
    {"ranks", 5, 1, 0, 0.002},
    {"t4", 0, 0, 0},
    {"trainers", 3, 4, 0},
    {"zero", 1, 0, 0},
    {"fsdp1", 2, 4, 0, 0.007},
    {"zero3", 15, 18, 0, 0.0025},
};

INSTANTIATE_TEST_SUITE_P(Oracle, GpuRecords, ::testing::ValuesIn(kFiles), [](const auto& info) {
  std::string name = info.param.name;
  std::erase(name, '-');
  return name;
});

constexpr const char* kCase =
    R"({"case": {"task": "causal-lm", "config": {"model_type": "gpt2", "n_layer": 2, "n_embd": 64, "n_head": 4}, )"
    R"("batch": 2, "seq": 16, "precision": "fp32", "optimizer": "adamw/foreach", "attention": "sdpa"}, )";

TEST(HeldRecords, EachKindHasItsTable) {
  const std::string gpu = kCase + std::string(R"("gpu": "a100-80gb", "allocated": 20000000, "reserved": 30000000})");
  const std::string tensors = kCase + std::string(R"("peak": {"bytes": 1000000}, "peak_step1": {"bytes": 1000000}})");
  const HeldRecords records = held(gpu + "\n" + tensors);
  ASSERT_EQ(records.families.size(), 1U);
  ASSERT_EQ(records.gpus.size(), 1U);
  EXPECT_EQ(records.gpus[0].name, "a100-80gb");
  EXPECT_EQ(records.gpus[0].verdicts, 1U);
  const std::string table = held_table(records);
  EXPECT_NE(table.find("| allocator of |"), std::string::npos);
  EXPECT_NE(table.find("not met: records.jsonl:1, allocated_bytes: "), std::string::npos);
  EXPECT_NE(table.find("not met: records.jsonl:2, tensor_bytes: "), std::string::npos);
  JsonWriter out;
  out.begin_object();
  write_held(records, out);
  out.end_object();
  const Result<Value> json = parse_json(std::move(out).text());
  ASSERT_TRUE(json);
  EXPECT_EQ(json->find("groups")->items.size(), 3U);
  EXPECT_EQ(json->find("differences")->items.size(), 4U);
}

TEST(HeldRecords, AGpuThatIsNotKnownIsNotCovered) {
  const HeldRecords records = held(kCase + std::string(R"("gpu": "abacus", "allocated": 1, "reserved": 1})"));
  ASSERT_EQ(records.gpus.size(), 1U);
  EXPECT_EQ(records.gpus[0].allocated.records_not_covered(), 1U);
}

}  // namespace
}  // namespace peakmem
