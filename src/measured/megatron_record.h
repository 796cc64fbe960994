// Records of Megatron-Core's own code (tests/data/megatron.jsonl): what was run, and what it took to the byte.
#pragma once

#include <string>
#include <vector>

#include "estimate/report.h"
#include "format/value.h"
#include "megatron/job.h"
#include "size/result.h"

namespace peakmem {

/// One measured case: the rank that was run and its measured bytes.
struct MegatronRecord {
  std::string id;
  mcore::Job job;
  int64_t parameters = 0;
  std::vector<PhaseReport> phases;  // in the order they were run
};

/// The rank of a record's `case`. What is not modelled is an error that names it.
Result<mcore::Job> read_megatron_case(const Value& what);
Result<MegatronRecord> read_megatron_record(const Value& line);

}  // namespace peakmem
