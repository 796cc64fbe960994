// Files of records, of either oracle, and our error on them.
#pragma once

#include <string_view>
#include <vector>

#include "format/json_writer.h"
#include "report/accuracy.h"
#include "report/allocator_accuracy.h"

namespace peakmem {

/// What is held to files of records: those of tensors by family, those of the caching allocator by GPU.
struct HeldRecords {
  std::vector<Accuracy> families;
  std::vector<AllocatorAccuracy> gpus;
};

/// Holds the estimates to the lines of a .jsonl file of that name; lines that are of neither kind are not covered. A
/// line that is no JSON is an error that names it.
std::optional<Error> hold_to_records(std::string_view jsonl, const std::string& file, HeldRecords& held);

/// The tables there are, and the first numbers that are not met.
std::string held_table(const HeldRecords& held);

/// The same as members of a JSON object: `groups`, and `differences`, all that are not met.
void write_held(const HeldRecords& held, JsonWriter& out);

}  // namespace peakmem
