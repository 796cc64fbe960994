// The largest batch, sequence or other size that fits, or the fewest ranks, by the verdict that estimate() gives, and
// where that answer stands.
#pragma once

#include "device/allocator.h"
#include "estimate/estimate.h"
#include "plan/variants.h"

namespace peakmem {

/// Values from `first` to `last`; none where first is 0.
struct Stretch {
  int64_t first = 0;
  int64_t last = 0;
};

/// The largest value that was found to fit, and what is known of those below it; or the smallest.
struct Solution {
  std::string name;             // of what is solved for: its option, or its letter
  bool smallest = false;        // the smallest was sought: `sure` is from where on all do, `next` is smaller
  int64_t multiple = 1;         // of which `aligned` is one
  int64_t value = 0;            // likely fits, by its likely device bytes, and the next does not; 0: none does
  int64_t sure = 0;             // fits even at its range's upper end, as those just below it
  int64_t aligned = 0;          // every multiple of `multiple` up to here fits
  Stretch gap;                  // below `value`, and fits not; the first that was found
  int64_t peak_bytes = 0;       // device bytes (likely) at `value`
  int64_t next = 0;             // the next value that could be, such as value + 1; 0: there is none
  int64_t next_peak_bytes = 0;  // at `next`
  int64_t capacity_bytes = 0;   // of the GPU, without what is to stay free
  std::string limit;            // what else stopped it: such as the learned position table
  std::optional<Failure> failure = std::nullopt;  // which allocation fails at `next`; for who asks
};

/// How much a search replays: all that says where the answer stands, or as little as finds one that fits and the next
/// of which does not.
enum class Effort : uint8_t { kWhole, kLittle };

/// estimate() with the same `allocator` says of the solution's value that it fits, and of the next one that it does
/// not. What is reserved does not grow evenly with the value, so that one may fit where a smaller one does not: from
/// where it surely fits, multiples are replayed upward until one does not fit, and then values from where what is
/// allocated alone is too much downward, in halving steps. `headroom_bytes` of the GPU stay free.
Result<Solution> solve(Variants variants, const Gpu& gpu, const std::optional<AllocatorOptions>& allocator,
                       int64_t headroom_bytes, Effort effort = Effort::kWhole);
Result<Solution> solve(const Job& job, Unknown unknown, const Gpu& gpu,
                       const std::optional<AllocatorOptions>& allocator = AllocatorOptions{},
                       int64_t headroom_bytes = 0);

}  // namespace peakmem
