#include "estimate/bulk.h"

#include <algorithm>
#include <array>
#include <map>

#include "estimate/moment_formulas.h"

namespace peakmem {
namespace {

constexpr size_t kRows = 128;  // that are worked out together, so that slots stay in the first cache
constexpr double kMost = static_cast<double>(int64_t{1} << 61);

/// Formulas of which one is the highest within the ranges, and the others.
struct Split {
  std::vector<Expr> likely;
  std::vector<Expr> others;
};

Split split_of(const std::vector<Expr>& formulas, const std::vector<LetterRange>& ranges) {
  std::vector<Envelopes> envelopes;
  for (const Expr formula : formulas) envelopes.push_back(envelopes_of(formula, ranges));
  std::vector<bool> dropped(formulas.size(), false);
  for (size_t i = 0; i < formulas.size(); ++i)
    for (size_t j = 0; j < formulas.size() && !dropped[i]; ++j)
      dropped[i] = i != j && !dropped[j] && surely_at_least(envelopes[j].below, envelopes[i].above, ranges);
  Split split;
  for (size_t i = 0; i < formulas.size(); ++i) (dropped[i] ? split.others : split.likely).push_back(formulas[i]);
  return split;
}

}  // namespace

/// Makes lines of formulas, each product and each operation once.
class BulkPeak::Compiler {
 public:
  Compiler(const Pool& pool, const std::vector<std::string>& swept, BulkPeak& peak)
      : pool_(pool), swept_(swept), peak_(peak) {}

  bool add_moment(Expr formula) {
    std::optional<Sum> sum = sum_of(formula);
    if (!sum) return false;
    peak_.sums_.push_back(std::move(*sum));
    return true;
  }

 private:
  int32_t add(Line line) {
    peak_.lines_.push_back(std::move(line));
    return static_cast<int32_t>(peak_.ranges_.size() + peak_.lines_.size() - 1);
  }

  std::optional<Sum> sum_of(Expr formula) {
    if (formula.overflowed()) return std::nullopt;
    Sum sum;
    if (formula.is_number()) {
      sum.constant = formula.number();
      return sum;
    }
    const Polynomial terms = pool_.polynomial(formula.node());
    for (const auto& [monomial, coefficient] : terms) {
      if (monomial.divisor != 1) return std::nullopt;
      if (monomial.powers.empty()) {
        sum.constant = coefficient;
        continue;
      }
      const std::optional<int32_t> slot = product_of(monomial);
      if (!slot) return std::nullopt;
      sum.summands.push_back({*slot, coefficient});
    }
    return sum;
  }

  std::optional<int32_t> product_of(const Monomial& monomial) {
    if (const auto known = products_.find(monomial); known != products_.end()) return known->second;
    std::optional<int32_t> slot;
    for (const auto& [atom, power] : monomial.powers) {
      const std::optional<int32_t> factor = power > 0 ? atom_of(atom) : std::nullopt;
      if (!factor) return std::nullopt;
      for (int32_t i = 0; i < power; ++i)
        slot = slot ? add({false, {Kind::kProduct, {*slot, 0}, {*factor, 0}}, {}}) : *factor;
    }
    products_[monomial] = *slot;
    return slot;
  }

  std::optional<Operand> operand_of(Expr formula) {
    std::optional<Sum> sum = sum_of(formula);
    if (!sum) return std::nullopt;
    if (sum->summands.empty()) return Operand{-1, sum->constant};
    return Operand{add({true, {}, std::move(*sum)}), 0};
  }

  std::optional<int32_t> atom_of(int32_t index) {
    if (const auto known = atoms_.find(index); known != atoms_.end()) return known->second;
    const std::optional<int32_t> slot = new_atom(pool_.atom(index));
    if (slot) atoms_[index] = *slot;
    return slot;
  }

  std::optional<int32_t> new_atom(const Atom& atom) {
    if (atom.kind == Atom::Kind::kSymbol) {
      const auto letter = std::find(swept_.begin(), swept_.end(), atom.name);
      return static_cast<int32_t>(letter - swept_.begin());
    }
    constexpr std::array<std::pair<Atom::Kind, Kind>, 4> kKinds = {{{Atom::Kind::kCeilDiv, Kind::kCeilDiv},
                                                                    {Atom::Kind::kMost, Kind::kMost},
                                                                    {Atom::Kind::kLeast, Kind::kLeast},
                                                                    {Atom::Kind::kPowerOfTwo, Kind::kPowerOfTwo}}};
    for (const auto& [of_atom, kind] : kKinds) {
      if (atom.kind != of_atom) continue;
      const std::optional<Operand> left = operand_of(atom.left);
      const std::optional<Operand> right = operand_of(atom.right);
      if (!left || !right) return std::nullopt;
      return add({false, {kind, *left, *right}, {}});
    }
    return std::nullopt;  // an exact quotient of letters
  }

  const Pool& pool_;
  const std::vector<std::string>& swept_;
  BulkPeak& peak_;
  std::map<Monomial, int32_t> products_;
  std::map<int32_t, int32_t> atoms_;
};

std::optional<BulkPeak> BulkPeak::of(const TracedJob& traced, const std::vector<LetterRange>& ranges, const Gpu* gpu) {
  Pool pool;
  std::vector<std::string> swept;
  for (const LetterRange& range : ranges) swept.push_back(range.letter);
  for (const std::string& letter : swept) pool.symbol(letter);
  const std::optional<std::vector<Expr>> formulas = moment_formulas(traced, swept, gpu, pool);
  if (!formulas) return std::nullopt;
  BulkPeak peak;
  peak.ranges_ = ranges;
  Compiler compiler(pool, swept, peak);
  const Split split = split_of(*formulas, ranges);
  for (const std::vector<Expr>* part : {&split.likely, &split.others}) {
    for (const Expr formula : *part)
      if (!compiler.add_moment(formula)) return std::nullopt;
    if (part == &split.others) break;
    peak.likely_ = peak.sums_.size();
    peak.likely_lines_ = peak.lines_.size();
  }
  return peak;
}

bool BulkPeak::in_range(std::span<const int64_t> least, std::span<const int64_t> most) const {
  for (size_t i = 0; i < ranges_.size(); ++i)
    if (least[i] < ranges_[i].least || most[i] > ranges_[i].most) return false;
  return true;
}

/// Whether nothing on the way passes 2^61 where no letter is more than `most`; `likely`: of the likely sums alone.
bool BulkPeak::stays_below(std::span<const int64_t> most, bool likely) const {
  std::vector<double> slots(most.begin(), most.end());
  double highest = 0;
  const auto of = [&](const Operand& operand) {
    return operand.slot < 0 ? std::abs(static_cast<double>(operand.number)) : slots[static_cast<size_t>(operand.slot)];
  };
  const auto of_sum = [&](const Sum& sum) {
    double total = std::abs(static_cast<double>(sum.constant));
    for (const Summand& summand : sum.summands)
      total += std::abs(static_cast<double>(summand.factor)) * slots[static_cast<size_t>(summand.slot)];
    return total;
  };
  for (const Line& line : std::span(lines_).first(likely ? likely_lines_ : lines_.size())) {
    const double left = line.is_sum ? of_sum(line.sum) : of(line.step.left);
    const double right = line.is_sum ? 0 : of(line.step.right);
    const Kind kind = line.is_sum ? Kind::kMost : line.step.kind;
    slots.push_back(kind == Kind::kProduct      ? left * right
                    : kind == Kind::kPowerOfTwo ? 2 * left + 1
                    : kind == Kind::kCeilDiv    ? left + 1
                                                : std::max(left, right));
    highest = std::max(highest, slots.back());
  }
  for (const Sum& sum : std::span(sums_).first(likely ? likely_ : sums_.size()))
    highest = std::max(highest, of_sum(sum));
  return highest < kMost;
}

/// The same for one row with checked numbers.
int64_t BulkPeak::one_by_one(std::span<const int64_t> letters) const {
  std::vector<Expr> slots(letters.begin(), letters.end());
  const auto of = [&](const Operand& operand) {
    return operand.slot < 0 ? Expr(operand.number) : slots[static_cast<size_t>(operand.slot)];
  };
  const auto of_sum = [&](const Sum& sum) {
    Expr total = sum.constant;
    for (const Summand& summand : sum.summands)
      total += Expr(summand.factor) * slots[static_cast<size_t>(summand.slot)];
    return total;
  };
  for (const Line& line : lines_) {
    if (line.is_sum) {
      slots.push_back(of_sum(line.sum));
      continue;
    }
    const Expr left = of(line.step.left);
    const Expr right = of(line.step.right);
    switch (line.step.kind) {
      case Kind::kProduct:
        slots.push_back(left * right);
        break;
      case Kind::kCeilDiv:
        slots.push_back(ceil_div(left, right));
        break;
      case Kind::kMost:
        slots.push_back(most(left, right));
        break;
      case Kind::kLeast:
        slots.push_back(least(left, right));
        break;
      case Kind::kPowerOfTwo:
        slots.push_back(power_of_two(left));
        break;
    }
  }
  Expr highest = 0;
  for (const Sum& sum : sums_) highest = most(highest, of_sum(sum));
  return highest.overflowed() ? Expr::kNoNumber : highest.number();
}

namespace {

using Row = std::array<int64_t, kRows>;

int64_t power_from(int64_t value) {
  int64_t power = 1;
  while (power < value) power *= 2;
  return power;
}

/// A function of two operands for every row.
template <class Operation>
void each(const Row& left, const Row& right, Row& made, const Operation& operation) {
  for (size_t i = 0; i < kRows; ++i) made[i] = operation(left[i], right[i]);
}

/// One step for every row.
template <class Step>
void run_step(const Step& step, const Row& a, const Row& b, Row& made) {
  using Kind = decltype(step.kind);
  switch (step.kind) {
    case Kind::kProduct:
      each(a, b, made, [](int64_t x, int64_t y) { return x * y; });
      break;
    case Kind::kCeilDiv:
      each(a, b, made, [](int64_t x, int64_t y) { return x > 0 ? (x - 1) / y + 1 : x / y; });
      break;
    case Kind::kMost:
      each(a, b, made, [](int64_t x, int64_t y) { return x > y ? x : y; });
      break;
    case Kind::kLeast:
      each(a, b, made, [](int64_t x, int64_t y) { return x < y ? x : y; });
      break;
    case Kind::kPowerOfTwo:
      each(a, b, made, [](int64_t x, int64_t) { return power_from(x); });
      break;
  }
}

}  // namespace

void BulkPeak::evaluate(std::span<const std::span<const int64_t>> sizes, std::span<int64_t> peaks) const {
  const size_t letters = ranges_.size();
  std::vector<Row> slots(letters + lines_.size());
  Row left_number;
  Row right_number;
  const auto of = [&](const Operand& operand, Row& number) -> const Row& {
    if (operand.slot >= 0) return slots[static_cast<size_t>(operand.slot)];
    number.fill(operand.number);
    return number;
  };
  const auto add_up = [&](const Sum& sum, Row& total) {
    total.fill(sum.constant);
    for (const Summand& summand : sum.summands) {
      const Row& slot = slots[static_cast<size_t>(summand.slot)];
      for (size_t i = 0; i < kRows; ++i) total[i] += summand.factor * slot[i];
    }
  };
  for (size_t begin = 0; begin < peaks.size(); begin += kRows) {
    const size_t rows = std::min(kRows, peaks.size() - begin);
    std::vector<int64_t> most(letters);
    std::vector<int64_t> least(letters);
    for (size_t letter = 0; letter < letters; ++letter) {
      slots[letter].fill(sizes[letter][begin]);
      std::copy_n(sizes[letter].begin() + static_cast<std::ptrdiff_t>(begin), rows, slots[letter].begin());
      most[letter] = *std::max_element(slots[letter].begin(), slots[letter].end());
      least[letter] = *std::min_element(slots[letter].begin(), slots[letter].end());
    }
    const bool likely = in_range(least, most);
    if (!stays_below(most, likely)) {
      for (size_t i = 0; i < rows; ++i) {
        for (size_t letter = 0; letter < letters; ++letter) most[letter] = slots[letter][i];
        peaks[begin + i] = one_by_one(most);
      }
      continue;
    }
    for (size_t l = 0; l < (likely ? likely_lines_ : lines_.size()); ++l) {
      const Line& line = lines_[l];
      Row& made = slots[letters + l];
      if (line.is_sum) {
        add_up(line.sum, made);
        continue;
      }
      const Row& a = of(line.step.left, left_number);
      const Row& b = of(line.step.right, right_number);
      run_step(line.step, a, b, made);
    }
    Row highest;
    Row total;
    highest.fill(0);
    for (const Sum& sum : std::span(sums_).first(likely ? likely_ : sums_.size())) {
      add_up(sum, total);
      for (size_t i = 0; i < kRows; ++i) highest[i] = std::max(highest[i], total[i]);
    }
    std::copy_n(highest.begin(), rows, peaks.begin() + static_cast<std::ptrdiff_t>(begin));
  }
}

}  // namespace peakmem
