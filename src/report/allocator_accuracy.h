// Our error on records of PyTorch's own caching allocator.
#pragma once

#include <string>
#include <vector>

#include "report/accuracy.h"

namespace peakmem {

/// The errors on the records of one GPU under one setting of its allocator.
struct AllocatorAccuracy {
  std::string name;
  Accuracy allocated;         // of max_memory_allocated; also counts the records that are not covered
  Accuracy reserved;          // of max_memory_reserved
  size_t verdicts = 0;        // records, those that ran out of memory among them
  size_t wrong_verdicts = 0;  // that ran where we say it does not fit, or the other way round
};

/// Adds what is held to one line that `is_gpu_record`, at `where`.
void hold_to_gpu_record(const Value& line, const std::string& where, std::vector<AllocatorAccuracy>& groups);

/// The groups as a Markdown table.
std::string allocator_accuracy_table(const std::vector<AllocatorAccuracy>& groups);

}  // namespace peakmem
