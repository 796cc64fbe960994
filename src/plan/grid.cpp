#include "plan/grid.h"

#include <numeric>

#include "size/terms.h"

namespace peakmem {
namespace {

constexpr int64_t kMaxStep = 65536;

bool mentions(Expr formula, std::string_view letter) {
  if (!formula.is_formula()) return false;
  const Degree found = degree(formula, letter);
  return found.power != 0 || found.approximate;
}

/// What guards divide the letter by, all of it.
int64_t step_of(const Recording& recording, std::string_view letter) {
  int64_t step = 1;
  for (const Guard& guard : recording.guards)
    for (const GuardSide* side : {&guard.left, &guard.right}) {
      const bool divides = side->modulus.is_number() && side->modulus.number() > 0 && mentions(side->formula, letter);
      if (!divides || side->modulus.number() > kMaxStep) continue;
      if (const int64_t both = std::lcm(step, side->modulus.number()); both <= kMaxStep) step = both;
    }
  return step;
}

/// How many steps of `step` from `value` on hold, up or down, were it that once they do not they never do again.
template <class Holds>
int64_t reach(int64_t value, int64_t step, int64_t most, const Holds& holds) {
  int64_t low = 0;
  int64_t high = 1;
  while (high <= most && holds(value + high * step)) low = high, high *= 2;
  high = high > most ? most + 1 : high;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (holds(value + middle * step) ? low : high) = middle;
  }
  return low;
}

}  // namespace

Grid grid_of(const Job& job, Unknown unknown) {
  if (unknown != Unknown::kLetter) return {};
  const Recording& recording = *job.recording;
  const int64_t own = job.letters[job.sought];
  const int64_t step = step_of(recording, recording.letters[job.sought].name);
  const auto holds = [&](int64_t value) {
    std::vector<int64_t> values = job.letters;
    values[job.sought] = value;
    return guards_hold(recording, values);
  };
  const int64_t below = reach(own, -step, (own - 1) / step, holds);
  const int64_t above = reach(own, step, (kSearchLimit - own) / step, holds);
  return {own - below * step, step, below + above + 1};
}

}  // namespace peakmem
