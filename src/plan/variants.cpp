#include "plan/variants.h"

namespace peakmem {
namespace {

/// What there is of positions, for a length that has a learned table; what of a recording's guards holds.
int64_t limit_of(const Job& job, Unknown unknown, const Grid& grid) {
  if (job.recording) return grid.last_number();
  const bool table = name_of(unknown) == "seq" && job.description.learned_positions;
  return table ? job.description.longest_sequence() : kSearchLimit;
}

std::string limit_text(const Job& job, int64_t limit) {
  if (limit >= kSearchLimit) return "the search itself";
  return job.recording ? "the trace's guards" : "the learned position table";
}

}  // namespace

Variants variants_of(const Job& job, Unknown unknown) {
  Variants variants;
  variants.name = name_of(job, unknown);
  variants.at = [job, unknown](int64_t value) {
    Job changed = job;
    set_size(changed, unknown, value);
    return std::optional(std::move(changed));
  };
  variants.symbols = symbols_of(job, unknown);
  variants.grid = grid_of(job, unknown);
  variants.multiple = variants.grid.is_every_one() ? multiple_of(unknown) : 1;
  variants.limit = limit_of(job, unknown, variants.grid);
  variants.limit_text = limit_text(job, variants.grid.value(variants.limit));
  return variants;
}

}  // namespace peakmem
