#include "estimate/envelope.h"

#include <algorithm>
#include <cmath>

namespace peakmem {
namespace {

constexpr double kMargin = 1 + 1e-9;  // for what doubles round

Envelope constant(double number, size_t letters) { return {{std::vector<int32_t>(letters, 0), number}}; }

void add(Envelope& sum, const Envelope& other, double times) {
  for (const auto& [powers, factor] : other) sum[powers] += times * factor;
}

Envelope product(const Envelope& a, const Envelope& b) {
  Envelope made;
  for (const auto& [powers, factor] : a)
    for (const auto& [more, other] : b) {
      std::vector<int32_t> both = powers;
      for (size_t i = 0; i < both.size(); ++i) both[i] += more[i];
      made[both] += factor * other;
    }
  return made;
}

bool has_negative(const Envelope& envelope) {
  return std::any_of(envelope.begin(), envelope.end(), [](const auto& term) { return term.second < 0; });
}

/// Envelopes of the formulas of one pool, each once.
class Bounds {
 public:
  explicit Bounds(const std::vector<LetterRange>& ranges) : ranges_(ranges) {}

  Envelopes of(Expr formula) {
    if (!formula.is_formula()) return number(static_cast<double>(formula.number()));
    Envelopes sum;
    const Polynomial terms = formula.pool()->polynomial(formula.node());
    for (const auto& [monomial, coefficient] : terms) {
      const Envelopes each = product_of(*formula.pool(), monomial);
      const double factor = static_cast<double>(coefficient) / static_cast<double>(monomial.divisor);
      add(sum.below, factor > 0 ? each.below : each.above, factor);
      add(sum.above, factor > 0 ? each.above : each.below, factor);
    }
    return sum;
  }

 private:
  Envelopes number(double value) const { return {constant(value, ranges_.size()), constant(value, ranges_.size())}; }

  Envelopes product_of(const Pool& pool, const Monomial& monomial) {
    Envelopes made = number(1);
    for (const auto& [atom, power] : monomial.powers) {
      const Envelopes each = of_atom(pool.atom(atom));
      for (int32_t i = 0; i < power; ++i) {
        made.below = product(made.below, has_negative(each.below) ? Envelope{} : each.below);  // sizes are not below 0
        made.above = product(made.above, each.above);
      }
    }
    return made;
  }

  Envelopes of_atom(const Atom& atom) {
    if (atom.kind == Atom::Kind::kSymbol) return letter(atom.name);
    const Envelopes left = of(atom.left);
    if (atom.kind == Atom::Kind::kCeilDiv && atom.right.is_number()) return quotient(left, atom.right.number());
    const Envelopes right = of(atom.right);
    Envelopes made;
    if (atom.kind == Atom::Kind::kMost && !has_negative(left.below)) made.below = left.below;
    if (atom.kind == Atom::Kind::kLeast) {
      made.above = highest(left.above) < highest(right.above) ? left.above : right.above;
      return made;
    }
    if (atom.kind == Atom::Kind::kPowerOfTwo) {
      add(made.above, left.above, 2);
      add(made.above, constant(1, ranges_.size()), 1);
      return made;
    }
    add(made.above, left.above, 1);  // of a maximum, or of a quotient of letters
    if (atom.kind == Atom::Kind::kMost) add(made.above, right.above, 1);
    return made;
  }

  Envelopes letter(const std::string& name) const {
    std::vector<int32_t> powers(ranges_.size(), 0);
    for (size_t i = 0; i < ranges_.size(); ++i)
      if (ranges_[i].letter == name) powers[i] = 1;
    return {{{powers, 1}}, {{powers, 1}}};
  }

  Envelopes quotient(const Envelopes& whole, int64_t step) const {
    const auto divisor = static_cast<double>(step);
    Envelopes made;
    add(made.below, whole.below, 1 / divisor);
    add(made.above, whole.above, 1 / divisor);
    add(made.above, constant(1, ranges_.size()), (divisor - 1) / divisor);
    return made;
  }

  /// The value where every letter is as large as it may be.
  double highest(const Envelope& envelope) const {
    double sum = 0;
    for (const auto& [powers, factor] : envelope) {
      double term = factor;
      for (size_t i = 0; i < powers.size(); ++i) term *= std::pow(static_cast<double>(ranges_[i].most), powers[i]);
      sum += term;
    }
    return sum;
  }

  const std::vector<LetterRange>& ranges_;
};

/// How often a product of letters holds another at most.
double most_times(const std::vector<int32_t>& powers, const std::vector<int32_t>& of,
                  const std::vector<LetterRange>& ranges) {
  double times = 1;
  for (size_t i = 0; i < powers.size(); ++i) {
    const int32_t more = powers[i] - of[i];
    times *= std::pow(static_cast<double>(more > 0 ? ranges[i].most : ranges[i].least), more);
  }
  return times;
}

}  // namespace

Envelopes envelopes_of(Expr formula, const std::vector<LetterRange>& ranges) { return Bounds(ranges).of(formula); }

bool surely_at_least(const Envelope& a, const Envelope& b, const std::vector<LetterRange>& ranges) {
  Envelope difference = a;
  add(difference, b, -kMargin);
  for (const auto& [powers, factor] : difference) {
    double lacking = -factor;
    for (auto& [others, left] : difference) {
      if (lacking <= 0) break;
      if (left <= 0) continue;
      const double times = most_times(powers, others, ranges);  // of those one makes up for so much of the other
      const double taken = std::min(lacking, left / times);
      lacking -= taken;
      left -= taken * times;
    }
    if (lacking > 0) return false;
  }
  return true;
}

}  // namespace peakmem
