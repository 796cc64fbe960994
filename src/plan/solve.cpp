#include "plan/solve.h"

#include <algorithm>

#include "plan/candidates.h"

namespace peakmem {
namespace {

constexpr int64_t kPadded = 128;     // what kernels round lengths up to at most: within it more may need less
constexpr int64_t kFirstSteps = 16;  // values of the first look from above
constexpr int64_t kMultiples = 32;   // at most so many are replayed upward
constexpr int64_t kReplays = 72;     // at most so many downward, but for the last bisection

/// A value from `low` on that `holds`, the next of which does not; `high` does not.
template <class Holds>
int64_t bisect(int64_t low, int64_t high, Holds holds) {
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (holds(middle) ? low : high) = middle;
  }
  return low;
}

/// A value up to `limit` that `holds`, the next of which does not, were it that more never needs less.
template <class Holds>
int64_t reach(int64_t limit, Holds holds) {
  int64_t low = 0;
  for (int64_t high = 1; low < limit; high = std::min(limit, 2 * high)) {
    if (!holds(high)) return bisect(low, high, holds);
    low = high;
  }
  return limit;
}

/// The search for one solution.
class Search {
 public:
  Search(Candidates& candidates, Unknown unknown, int64_t limit)
      : candidates_(candidates),
        multiple_(candidates.grid().is_every_one() ? multiple_of(unknown) : 1),
        limit_(limit) {}

  void run(Solution& solution) {
    top_ = highest();
    solution.sure = surest();
    solution.aligned = highest_multiple(solution.sure);
    solution.value = largest(std::max(solution.sure, solution.aligned));
    solution.gap = gap_below(solution.value);
  }

 private:
  bool fits(int64_t value) { return candidates_.fits(value); }

  /// The largest that may fit by what is allocated.
  int64_t highest() {
    int64_t top = reach(limit_, [&](int64_t value) { return candidates_.may_fit(value); });
    for (int64_t more = std::min(limit_, top + kPadded); more > top; --more)
      if (candidates_.may_fit(more)) top = more;
    return top;
  }

  /// The largest up to which every one surely fits.
  int64_t surest() {
    const auto may = [&](int64_t value) { return candidates_.may_fit_surely(value); };
    int64_t sure = std::min(top_, reach(limit_, may));
    for (int64_t less = sure; less > std::max<int64_t>(0, sure - kPadded); --less)
      if (!may(less)) sure = less - 1;
    const auto surely = [&](int64_t value) { return candidates_.fits_surely(value); };
    return sure == 0 || surely(sure) ? sure : bisect(0, sure, surely);
  }

  /// The largest multiple that fits like all before it, as far as they are tried.
  int64_t highest_multiple(int64_t sure) {
    int64_t multiple = sure / multiple_ * multiple_;
    for (int64_t i = 0; i < kMultiples && multiple + multiple_ <= top_ && fits(multiple + multiple_); ++i)
      multiple += multiple_;
    return multiple;
  }

  /// The largest that fits, from one that does (or 0): looks from above at multiples of a step, halves the step, and
  /// looks again at what lies above the best. Where that would be too many, only up to the next that did not fit.
  int64_t largest(int64_t best) {
    int64_t step = 1;
    while ((top_ - best) / step > kFirstSteps) step *= 2;
    const size_t before = candidates_.tried().size();
    for (int64_t top = top_; step > 0; step /= 2) {
      const auto replays = static_cast<int64_t>(candidates_.tried().size() - before);
      if (replays + (top - best) / step > kReplays) top = std::min(top, best + 2 * step - 1);
      for (int64_t value = top / step * step; value > best; value -= step)
        if (fits(value)) best = value;
    }
    return best;
  }

  /// The first stretch found that does not fit, with its ends made sharp.
  Stretch gap_below(int64_t value) {
    const std::map<int64_t, bool>& tried = candidates_.tried();
    const auto is_bad = [](const auto& entry) { return !entry.second; };
    const auto bad = std::find_if(tried.begin(), tried.lower_bound(value), is_bad);
    if (bad == tried.lower_bound(value)) return {};
    const int64_t before = bad == tried.begin() ? 0 : std::prev(bad)->first;
    const auto after = std::find_if_not(bad, tried.end(), is_bad);
    const int64_t inside = bad->first;
    const int64_t last = std::prev(after)->first;
    return {bisect(before, inside, [&](int64_t v) { return fits(v); }) + 1,
            bisect(last, after->first, [&](int64_t v) { return !fits(v); })};
  }

  Candidates& candidates_;
  int64_t multiple_;
  int64_t limit_;
  int64_t top_ = 0;
};

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

Result<Solution> solve(const Job& job, Unknown unknown, const Gpu& gpu,
                       const std::optional<AllocatorOptions>& allocator, int64_t headroom_bytes) {
  Solution solution;
  solution.unknown = unknown;
  solution.name = name_of(job, unknown);
  solution.capacity_bytes = gpu.memory_bytes - headroom_bytes;
  Candidates candidates(job, unknown, gpu, allocator, solution.capacity_bytes);
  const Grid& grid = candidates.grid();
  const int64_t limit = limit_of(job, unknown, grid);
  Search(candidates, unknown, limit).run(solution);
  const auto likely = [&](int64_t value) { return candidates.device(value).value_or(Range{}).likely; };
  const int64_t best = solution.value;
  if (best > 0) solution.peak_bytes = likely(best);
  for (int64_t* number : {&solution.value, &solution.sure, &solution.aligned, &solution.gap.first, &solution.gap.last})
    *number = grid.value(*number);
  if (best == limit) {
    solution.limit = limit_text(job, grid.value(limit));
    return solution;
  }
  solution.next = grid.value(best + 1);
  solution.next_peak_bytes = likely(best + 1);
  if (solution.next_peak_bytes == 0)
    return Error{"sizes", "a product of the sizes passes 2^63 bytes", "check the config's sizes"};
  return solution;
}

}  // namespace peakmem
