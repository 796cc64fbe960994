#include "plan/solve.h"

#include <map>
#include <memory>
#include <tuple>

#include "estimate/device.h"

namespace peakmem {
namespace {

/// Evaluates one job at many values of the unknown. PyTorch takes other paths for some sizes (1, rows that are no
/// multiple of 8 in a mask, a sequence as long as the window), and a fused loss works in more pieces; each such
/// structure is traced once.
class Evaluator {
 public:
  Evaluator(const Job& job, Unknown unknown, const Gpu& gpu) : job_(job), unknown_(unknown), gpu_(gpu) {}

  /// Likely device bytes at a value; nothing where they pass 62 bits.
  std::optional<int64_t> device_bytes(int64_t value) {
    const Result<Levels> levels = traced(value).at(unknown_ == Unknown::kBatch ? "B" : "T", value, &gpu_);
    if (!levels) return std::nullopt;
    return device_range(reserved_range(levels->allocated), &gpu_).likely;
  }
  bool fits(int64_t value) {
    const std::optional<int64_t> bytes = device_bytes(value);
    return bytes && *bytes <= gpu_.memory_bytes;
  }

 private:
  using Key = std::tuple<bool, bool, bool, bool, bool, bool, bool, LossPieces>;

  const TracedJob& traced(int64_t value) {
    const bool seq = unknown_ == Unknown::kSeq;
    Job at = job_;
    (seq ? at.recipe.seq : at.recipe.batch) = value;
    const Key key = {value == 1,
                     seq && value % 8 != 0,
                     seq && value % 16 != 0,
                     seq && value >= job_.description.window,
                     seq && value % 128 != 0,
                     dequantizes_forward(at.recipe),
                     dequantizes_experts(at.recipe, at.description),
                     loss_pieces(at)};
    std::unique_ptr<TracedJob>& slot = structures_[key];
    if (slot) return *slot;
    slot = std::make_unique<TracedJob>(at);
    return *slot;
  }

  const Job& job_;
  Unknown unknown_;
  const Gpu& gpu_;
  std::map<Key, std::unique_ptr<TracedJob>> structures_;
};

/// The largest value up to `limit` that fits, supposing that more never needs less.
int64_t bisect(Evaluator& evaluator, int64_t limit) {
  int64_t low = 0;
  int64_t high = 1;
  while (high <= limit && evaluator.fits(high)) {
    low = high;
    if (high == limit) return limit;
    high = high > limit / 2 ? limit : 2 * high;
  }
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (evaluator.fits(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace

Result<Solution> solve(const Job& job, Unknown unknown, const Gpu& gpu) {
  constexpr int64_t kSearchLimit = int64_t{1} << 40;
  const bool table = unknown == Unknown::kSeq && job.description.learned_positions;
  const int64_t limit = table ? job.description.longest_sequence() : kSearchLimit;
  Evaluator evaluator(job, unknown, gpu);
  Solution solution;
  solution.unknown = unknown;
  solution.capacity_bytes = gpu.memory_bytes;
  solution.value = bisect(evaluator, limit);
  // A row that is no multiple of 8 is padded in a mask, so a few more tokens can need less.
  for (int64_t more = solution.value + 1; more <= solution.value + 8 && more <= limit; ++more)
    if (evaluator.fits(more)) solution.value = more;
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
