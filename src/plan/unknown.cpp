#include "plan/unknown.h"

#include <array>

namespace peakmem {
namespace {

/// An unknown with its name, its letters, and the sizes of the recipe that it is.
struct UnknownRow {
  Unknown unknown;
  std::string_view name;
  std::vector<const char*> symbols;
  std::vector<int64_t Recipe::*> sizes;
};

const std::array<UnknownRow, 5>& rows() {
  static const std::array<UnknownRow, 5> rows = {
      {{Unknown::kBatch, "batch", {"B"}, {&Recipe::batch}},
       {Unknown::kSeq, "seq", {"T"}, {&Recipe::seq}},
       {Unknown::kTargetSeq, "target-seq", {"U"}, {&Recipe::target_seq}},
       {Unknown::kBothLengths, "seq", {"T", "U"}, {&Recipe::seq, &Recipe::target_seq}},
       {Unknown::kLetter, "letter", {}, {}}}};
  return rows;
}

const UnknownRow& row_of(Unknown unknown) { return rows()[static_cast<size_t>(unknown)]; }

}  // namespace

std::string_view name_of(Unknown unknown) { return row_of(unknown).name; }
const std::vector<const char*>& symbols_of(Unknown unknown) { return row_of(unknown).symbols; }

void set_size(Recipe& recipe, Unknown unknown, int64_t value) {
  for (int64_t Recipe::* const size : row_of(unknown).sizes) recipe.*size = value;
}

std::string_view name_of(const Job& job, Unknown unknown) {
  if (unknown != Unknown::kLetter) return name_of(unknown);
  const Letter& letter = job.recording->letters[job.sought];
  return letter.option.empty() ? letter.name : letter.option;
}

std::vector<const char*> symbols_of(const Job& job, Unknown unknown) {
  if (unknown != Unknown::kLetter) return symbols_of(unknown);
  return {job.recording->letters[job.sought].name.c_str()};
}

void set_size(Job& job, Unknown unknown, int64_t value) {
  if (unknown == Unknown::kLetter)
    job.letters[job.sought] = value;
  else
    set_size(job.recipe, unknown, value);
}

Unknown find_unknown(std::string_view name, bool lengths_go_together) {
  if (name == "seq" && lengths_go_together) return Unknown::kBothLengths;
  for (const UnknownRow& row : rows())
    if (row.name == name) return row.unknown;
  return Unknown::kBatch;
}

}  // namespace peakmem
