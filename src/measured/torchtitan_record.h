// Records of torchtitan's own code (tests/data/torchtitan.jsonl): what was run, and what it took to the byte.
#pragma once

#include <string>
#include <vector>

#include "estimate/report.h"
#include "format/value.h"
#include "size/result.h"
#include "torchtitan/job.h"

namespace peakmem {

/// One measured case: the rank that was run and its measured bytes.
struct TorchtitanRecord {
  titan::Job job;
  int64_t parameters = 0;           // of the model
  int64_t parameters_here = 0;      // of this rank
  std::vector<PhaseReport> phases;  // in the order they were run
};

/// The rank of a record's `case`. What is not modelled is an error that names it.
Result<titan::Job> read_torchtitan_case(const Value& what);
Result<TorchtitanRecord> read_torchtitan_record(const Value& line);

}  // namespace peakmem
