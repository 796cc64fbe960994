// Any bytes as a measurement: refused with a reason, or compared with our trace of a small model.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "estimate/diff.h"
#include "measured/measurement.h"

namespace {

using namespace peakmem;

constexpr int64_t kLargest = 64;  // of what a case may ask to trace here: time is for the reader

bool is_small(const Job& job) { return job.description.layers <= kLargest && job.recipe.accumulate <= kLargest; }

/// The differences of all rows must be the difference of the peaks.
void check_sum(const Diff& diff) {
  int64_t sum = diff.earlier.difference() + diff.unlisted.difference();
  for (const DiffRow& row : diff.rows) sum += row.difference();
  if (sum != diff.difference()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Measurement> measurement = read_measurement({reinterpret_cast<const char*>(data), size}, {});
  if (!measurement) {
    if (measurement.error().problem.empty()) std::abort();
    return 0;
  }
  LivePeak ours;
  if (measurement->job && is_small(*measurement->job)) {
    const Result<LivePeak> traced = live_peak(*measurement->job, view_for(*measurement, {}, nullptr));
    if (traced) ours = *traced;
  }
  check_sum(diff(measurement->peak, ours));
  return 0;
}
