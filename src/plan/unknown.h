// What is solved for.
#pragma once

#include <string_view>
#include <vector>

#include "recipe/job.h"

namespace peakmem {

/// A size to find the largest of. An encoder-decoder's two lengths go together where its targets are as long as its
/// sequences. Of a recording it is a letter.
enum class Unknown : uint8_t { kBatch, kSeq, kTargetSeq, kBothLengths, kLetter };

/// The option that is its name: "batch", "seq", "target-seq".
std::string_view name_of(Unknown unknown);
/// Its letters in a trace.
const std::vector<const char*>& symbols_of(Unknown unknown);
void set_size(Recipe& recipe, Unknown unknown, int64_t value);

// The same of a job, where kLetter is the letter of its recording that is sought.
std::string_view name_of(const Job& job, Unknown unknown);
std::vector<const char*> symbols_of(const Job& job, Unknown unknown);
void set_size(Job& job, Unknown unknown, int64_t value);

/// The unknown that `name` asks for. `lengths_go_together`: targets have the length of sequences.
Unknown find_unknown(std::string_view name, bool lengths_go_together);

/// What GPUs like values to be multiples of.
constexpr int64_t multiple_of(Unknown unknown) {
  return unknown == Unknown::kBatch || unknown == Unknown::kLetter ? 1 : 64;
}

}  // namespace peakmem
