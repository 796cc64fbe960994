// One traced job at very many sizes: its peak as a straight line of arithmetic.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "estimate/envelope.h"
#include "estimate/estimate.h"

namespace peakmem {

/// What a traced job allocates at its highest, as TracedJob::at() has it, for many sizes at once. When it is made, the
/// sizes that stay are put in as numbers, moments that another one surely has at least as much in are dropped, and what
/// is left becomes a list of products and sums that runs over arrays.
class BulkPeak {
 public:
  /// `ranges`: the letters ("B", "T") that vary, and in which range; all jobs must be of the traced one's JobForm.
  /// Nothing where how often something is done depends on them, or a size is a quotient of them.
  static std::optional<BulkPeak> of(const TracedJob& traced, const std::vector<LetterRange>& ranges, const Gpu* gpu);

  /// The allocated bytes at each row: `sizes` has the values of every letter, all positive, as many as `peaks`. What is
  /// out of range costs more. What passes 2^61 bytes on the way is worked out one by one, and is Expr::kNoNumber where
  /// it passes 2^62.
  void evaluate(std::span<const std::span<const int64_t>> sizes, std::span<int64_t> peaks) const;

  /// Moments that may be the highest within the ranges.
  size_t moments() const { return likely_; }

 private:
  enum class Kind : uint8_t { kProduct, kCeilDiv, kMost, kLeast, kPowerOfTwo };
  /// A place of the line: of a letter, of what an earlier step made, or a number.
  struct Operand {
    int32_t slot = -1;
    int64_t number = 0;
  };
  struct Step {
    Kind kind = Kind::kProduct;
    Operand left;
    Operand right;
  };
  struct Summand {
    int32_t slot = 0;
    int64_t factor = 0;
  };
  /// A sum of slots times numbers.
  struct Sum {
    int64_t constant = 0;
    std::vector<Summand> summands;
  };
  /// A step, or a sum that a later step takes.
  struct Line {
    bool is_sum = false;
    Step step;
    Sum sum;
  };
  class Compiler;

  bool stays_below(std::span<const int64_t> most, bool likely) const;
  int64_t one_by_one(std::span<const int64_t> letters) const;

  bool in_range(std::span<const int64_t> least, std::span<const int64_t> most) const;

  std::vector<LetterRange> ranges_;
  size_t likely_ = 0;        // sums that are all there is within the ranges,
  size_t likely_lines_ = 0;  // and the lines that they need
  std::vector<Line> lines_;  // each makes the slot behind those of the letters
  std::vector<Sum> sums_;    // of every moment that may be the highest, the likely ones first
};

}  // namespace peakmem
