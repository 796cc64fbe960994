// Records of real PyTorch steps (oracle/README.md): what was run, and what it took to the byte.
#pragma once

#include <string>
#include <vector>

#include "model/value.h"
#include "train/step.h"

namespace peakmem {

/// A phase's highest level as it was measured.
struct RecordedPhase {
  int32_t step = 0;
  int32_t micro = -1;
  std::string phase;
  int64_t peak_bytes = 0;
};

/// One measured case: the job that was run and its measured bytes.
struct Record {
  Job job;
  int64_t parameters = 0;  // 0 where the record counts packed weights
  int64_t trainable = 0;   // 0 where the record does not say
  int64_t peak_bytes = 0;  // of the steady step
  int64_t first_step_bytes = 0;
  std::vector<RecordedPhase> phases;
};

/// The record of one line of a .jsonl file. What is not modelled (a family, an adapter, several ranks) is an error.
Result<Record> read_record(const Value& line);

}  // namespace peakmem
