// Files of records, of either oracle, and our error on them.
#pragma once

#include <string_view>
#include <vector>

#include "report/accuracy.h"
#include "report/allocator_accuracy.h"

namespace peakmem {

/// What is held to files of records: those of tensors by family, those of the caching allocator by GPU.
struct HeldRecords {
  std::vector<Accuracy> families;
  std::vector<AllocatorAccuracy> gpus;
};

/// Holds the estimates to the lines of a .jsonl file; lines that are of neither kind are not covered. A line that is no
/// JSON is an error that names it.
std::optional<Error> hold_to_records(std::string_view jsonl, HeldRecords& held);

/// The tables there are.
std::string held_table(const HeldRecords& held);

}  // namespace peakmem
