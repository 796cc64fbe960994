// Records of real PyTorch steps (oracle/README.md): what was run, and what it took to the byte.
#pragma once

#include <string>
#include <vector>

#include "estimate/report.h"
#include "format/value.h"
#include "train/step.h"

namespace peakmem {

/// One measured case: the job that was run and its measured bytes.
struct Record {
  Job job;
  int64_t parameters = 0;     // 0 where the record counts packed weights
  int64_t trainable = 0;      // 0 where the record does not say
  int64_t peak_bytes = 0;     // of the steady step
  int64_t managed_bytes = 0;  // of a paged optimizer
  int64_t first_step_bytes = 0;
  std::vector<PhaseReport> phases;
};

/// The job of a record's or a trace's `case`; an error where the command line would refuse it.
Result<Job> read_case(const Value& what);

/// The step and the micro-batch in a step's number: 1, 2 or, with accumulation, 1.00, 1.01, ...
void read_step(double number, PhaseReport& phase);

/// The record of one line of a .jsonl file. What is not modelled (a family, an adapter, several ranks) is an error.
Result<Record> read_record(const Value& line);

}  // namespace peakmem
