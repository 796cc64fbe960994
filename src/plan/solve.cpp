#include "plan/solve.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <tuple>

#include "estimate/device.h"
#include "estimate/reserved.h"
#include "train/evaluation.h"

namespace peakmem {
namespace {

/// Evaluates one job at many values of the unknown. PyTorch takes other paths for some sizes (1, rows that are no
/// multiple of 8 in a mask, a sequence as long as the window), and a fused loss works in more pieces; each such
/// structure is traced once.
class Evaluator {
 public:
  Evaluator(const Job& job, Unknown unknown, const Gpu& gpu, const std::optional<AllocatorOptions>& allocator)
      : job_(job), unknown_(unknown), gpu_(gpu), allocator_(allocator) {}

  /// Likely device bytes at a value, as estimate() has them; nothing where they pass 62 bits.
  std::optional<int64_t> device_bytes(int64_t value) {
    const auto [known, is_new] = device_bytes_.try_emplace(value);
    if (const std::optional<int64_t> allocated = is_new ? allocated_bytes(value) : std::nullopt)
      known->second = device_range(reserved_at(value, *allocated), &gpu_).likely;
    return known->second;
  }
  bool fits(int64_t value) {
    const std::optional<int64_t> bytes = device_bytes(value);
    return bytes && *bytes <= gpu_.memory_bytes;
  }
  /// What is allocated at a value; the most there is where that passes 62 bits.
  int64_t allocated(int64_t value) { return allocated_bytes(value).value_or(std::numeric_limits<int64_t>::max()); }

 private:
  using Key = std::tuple<bool, bool, bool, bool, bool, bool, bool, LossPieces, bool, bool, LossPieces>;

  Job at(int64_t value) const {
    Job job = job_;
    (unknown_ == Unknown::kSeq ? job.recipe.seq : job.recipe.batch) = value;
    return job;
  }

  std::optional<int64_t> allocated_bytes(int64_t value) {
    const Result<Levels> levels = traced(value).at(unknown_ == Unknown::kBatch ? "B" : "T", value, &gpu_);
    return levels ? std::optional(levels->allocated) : std::nullopt;
  }
  Range reserved_at(int64_t value, int64_t allocated) const {
    return allocator_ ? reserved_range(allocated, replay_job(at(value), &gpu_, *allocator_))
                      : reserved_range(allocated);
  }

  const TracedJob& traced(int64_t value) {
    const bool seq = unknown_ == Unknown::kSeq;
    const Job job = at(value);
    const Job evaluated = evaluation_of(job);
    const Key key = {value == 1,
                     seq && value % 8 != 0,
                     seq && value % 16 != 0,
                     seq && value >= job_.description.window,
                     seq && value % 128 != 0,
                     dequantizes_forward(job.recipe),
                     dequantizes_experts(job.recipe, job.description),
                     loss_pieces(job),
                     dequantizes_forward(evaluated.recipe),
                     dequantizes_experts(evaluated.recipe, job.description),
                     loss_pieces(evaluated)};
    std::unique_ptr<TracedJob>& slot = structures_[key];
    if (!slot) slot = std::make_unique<TracedJob>(job);
    return *slot;
  }

  const Job& job_;
  Unknown unknown_;
  const Gpu& gpu_;
  const std::optional<AllocatorOptions>& allocator_;
  std::map<Key, std::unique_ptr<TracedJob>> structures_;
  std::map<int64_t, std::optional<int64_t>> device_bytes_;  // by value
};

/// A value from `low` on that `holds`, the next of which does not; `high` does not.
template <class Holds>
int64_t bisect(int64_t low, int64_t high, Holds holds) {
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (holds(middle) ? low : high) = middle;
  }
  return low;
}

/// The largest value up to `limit` at which no more than that is allocated, supposing that more never needs less.
int64_t reach(Evaluator& evaluator, int64_t limit, int64_t allocated) {
  const auto holds = [&](int64_t value) { return evaluator.allocated(value) <= allocated; };
  int64_t low = 0;
  for (int64_t high = 1; low < limit; high = std::min(limit, 2 * high)) {
    if (!holds(high)) return bisect(low, high, holds);
    low = high;
  }
  return limit;
}

/// Where it will fit if what is reserved is the share of what is allocated that it is at `top`, which does not fit.
int64_t likely_reach(Evaluator& evaluator, int64_t top, const Gpu& gpu) {
  const int64_t context = (gpu.context_low + gpu.context_high) / 2;
  const int64_t reserved = evaluator.device_bytes(top).value_or(gpu.memory_bytes) - context;
  const double share = static_cast<double>(gpu.memory_bytes - context) / static_cast<double>(reserved);
  return reach(evaluator, top, static_cast<int64_t>(static_cast<double>(evaluator.allocated(top)) * share));
}

/// A value that fits, the next of which does not: from a likely one in growing steps, for each is a replay.
int64_t largest(Evaluator& evaluator, int64_t limit, const Gpu& gpu) {
  const auto fits = [&](int64_t value) { return evaluator.fits(value); };
  const int64_t top = reach(evaluator, limit, gpu.memory_bytes - gpu.context_low);  // no less is reserved
  if (top == 0 || fits(top)) return top;
  const int64_t likely = likely_reach(evaluator, top, gpu);
  if (likely == 0) return bisect(0, top, fits);
  const bool up = fits(likely);
  int64_t low = up ? likely : 0;
  int64_t high = up ? top : likely;
  for (int64_t step = 1; high - low > step; step *= 2) {
    const int64_t next = up ? low + step : high - step;
    const bool next_fits = fits(next);
    (next_fits ? low : high) = next;
    if (next_fits != up) break;
  }
  return bisect(low, high, fits);
}

}  // namespace

Result<Solution> solve(const Job& job, Unknown unknown, const Gpu& gpu,
                       const std::optional<AllocatorOptions>& allocator) {
  constexpr int64_t kSearchLimit = int64_t{1} << 40;
  const bool table = unknown == Unknown::kSeq && job.description.learned_positions;
  const int64_t limit = table ? job.description.longest_sequence() : kSearchLimit;
  Evaluator evaluator(job, unknown, gpu, allocator);
  Solution solution;
  solution.unknown = unknown;
  solution.capacity_bytes = gpu.memory_bytes;
  solution.value = largest(evaluator, limit, gpu);
  // A row that is no multiple of 8 is padded in a mask, so a few more tokens can need less.
  for (int64_t more = solution.value + 1; more <= solution.value + 8 && more <= limit; ++more) {
    const bool needs_less = evaluator.allocated(more) < evaluator.allocated(solution.value + 1);
    if ((needs_less || more == solution.value + 1) && evaluator.fits(more)) solution.value = more;
  }
  if (solution.value > 0) solution.peak_bytes = evaluator.device_bytes(solution.value).value_or(0);
  if (solution.value == limit) {
    solution.limit = table ? "the learned position table" : "the search itself";
  } else {
    const std::optional<int64_t> next = evaluator.device_bytes(solution.value + 1);
    if (!next) return Error{"sizes", "a product of the sizes passes 2^63 bytes", "check the config's sizes"};
    solution.next_peak_bytes = *next;
  }
  return solution;
}

}  // namespace peakmem
