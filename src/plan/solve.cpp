#include "plan/solve.h"

#include <algorithm>

#include "plan/candidates.h"

namespace peakmem {
namespace {

constexpr int64_t kPadded = 128;     // what kernels round lengths up to at most: within it more may need less
constexpr int64_t kFirstSteps = 16;  // values of the first look from above
constexpr int64_t kMultiples = 32;   // at most so many are replayed upward
constexpr int64_t kReplays = 72;     // at most so many downward, but for the last bisection
constexpr int64_t kBelow = 8;        // neighbours below that are asked too, for what is reserved rises and falls

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
  explicit Search(Candidates& candidates)
      : candidates_(candidates), multiple_(candidates.variants().multiple), limit_(candidates.variants().limit) {}

  void run(Solution& solution, Effort effort) {
    top_ = highest();
    if (effort == Effort::kLittle) {
      solution.value = first_from_above();
      return;
    }
    solution.sure = surest();
    solution.aligned = highest_multiple(solution.sure);
    solution.value = largest(std::max(solution.sure, solution.aligned));
    solution.gap = gap_below(solution.value);
  }

 private:
  bool fits(int64_t value) { return candidates_.fits(value); }

  /// One that fits and the next of which does not: down from what may fit in steps that double.
  int64_t first_from_above() {
    int64_t above = top_ + 1;
    int64_t value = top_;
    for (int64_t step = 1; value > 0 && !fits(value); step *= 2)
      above = value, value = std::max<int64_t>(0, value - step);
    return bisect(value, above, [&](int64_t each) { return fits(each); });
  }

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
    if (sure > 0 && !surely(sure)) sure = bisect(0, sure, surely);
    return lowered(sure, 1, surely);
  }

  /// `value`, or one of steps well below it, of which the neighbours below hold too; 0 where none was found. What is
  /// reserved rises and falls, so where one fails many around it may.
  template <class Holds>
  int64_t lowered(int64_t value, int64_t step, Holds holds) {
    const auto stands = [&](int64_t from) {
      for (int64_t less = from; less > 0 && less >= from - kBelow * step; less -= step)
        if (!holds(less)) return false;
      return true;
    };
    for (int64_t tries = kBelow; tries > 0 && value > 0; --tries, value = value / 8 * 7 / step * step)
      if (stands(value)) return value;
    return 0;
  }

  /// The largest multiple that fits like all before it, as far as they are tried.
  int64_t highest_multiple(int64_t sure) {
    const auto each = [&](int64_t value) { return fits(value); };
    int64_t multiple = lowered(sure / multiple_ * multiple_, multiple_, each);
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

/// The search for the fewest: values rise, and what they need falls.
class SmallestSearch {
 public:
  explicit SmallestSearch(Candidates& candidates) : candidates_(candidates), limit_(candidates.variants().limit) {}

  void run(Solution& solution) {
    const int64_t top = lowest();
    int64_t value = top;
    for (int64_t more = 0; value <= limit_ && !candidates_.fits(value); ++more)
      value = more < kMultiples ? value + 1 : value + (value - top);
    value = std::min(value, limit_);
    if (!candidates_.fits(value)) return;
    while (value > top && candidates_.fits(value - 1)) --value;
    solution.value = value;
    for (int64_t sure = value; sure <= std::min(limit_, value + kMultiples) && solution.sure == 0; ++sure)
      if (candidates_.fits_surely(sure)) solution.sure = sure;
  }

 private:
  /// The smallest that may fit by what is allocated, were it that more never needs more.
  int64_t lowest() {
    const auto may_not = [&](int64_t value) { return !candidates_.may_fit(value); };
    return std::min(limit_, reach(limit_, may_not) + 1);
  }

  Candidates& candidates_;
  int64_t limit_;
};

}  // namespace

namespace {

/// Puts the values of the grid in the place of their numbers.
void put_values(Solution& solution, const Grid& grid) {
  for (int64_t* number : {&solution.value, &solution.sure, &solution.aligned, &solution.gap.first, &solution.gap.last})
    *number = grid.value(*number);
}

/// The number that is next to the best one and does not fit; 0 where there is none.
int64_t next_to(int64_t best, const Variants& variants) {
  if (!variants.smallest) return best < variants.limit ? best + 1 : 0;
  return best > 0 ? best - 1 : variants.limit;
}

}  // namespace

Result<Solution> solve(Variants variants, const Gpu& gpu, const std::optional<AllocatorOptions>& allocator,
                       int64_t headroom_bytes, Effort effort) {
  Solution solution;
  solution.name = variants.name;
  solution.smallest = variants.smallest;
  const Grid& steps = variants.grid;
  solution.multiple = variants.multiple * (steps.values.empty() && steps.first % steps.step == 0 ? steps.step : 1);
  solution.capacity_bytes = gpu.memory_bytes - headroom_bytes;
  Candidates candidates(std::move(variants), gpu, allocator, solution.capacity_bytes);
  const Variants& sought = candidates.variants();
  const Grid& grid = candidates.grid();
  if (sought.smallest)
    SmallestSearch(candidates).run(solution);
  else
    Search(candidates).run(solution, effort);
  const auto likely = [&](int64_t value) { return candidates.device(value).value_or(Range{}).likely; };
  if (solution.value > 0) solution.peak_bytes = likely(solution.value);
  const int64_t next = next_to(solution.value, sought);
  const bool is_job = next > 0 && candidates.is_job(next);
  if (next > 0) solution.next_peak_bytes = likely(next);
  put_values(solution, grid);
  if (!is_job) {
    solution.limit = sought.smallest ? "" : sought.limit_text;
    return solution;
  }
  solution.next = grid.value(next);
  if (solution.next_peak_bytes == 0)
    return Error{"sizes", "a product of the sizes passes 2^63 bytes", "check the config's sizes"};
  return solution;
}

Result<Solution> solve(const Job& job, Unknown unknown, const Gpu& gpu,
                       const std::optional<AllocatorOptions>& allocator, int64_t headroom_bytes) {
  return solve(variants_of(job, unknown), gpu, allocator, headroom_bytes);
}

}  // namespace peakmem
