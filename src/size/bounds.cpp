// What holds of formulas whatever the symbols' values are, as far as their terms show it.
#include <algorithm>

#include "size/pool_state.h"

namespace peakmem {

using sparse::Sum;
using sparse::Summand;
using sparse::SumView;

Pool::State::AtomFacts Pool::State::facts_of(const Atom& made) const {
  const Summands left(*this, made.left);
  const Summands right(*this, made.right);
  const bool either = made.kind == Atom::Kind::kMost;
  const bool positive[] = {surely(Bound::kPositive, left.view()), surely(Bound::kPositive, right.view())};
  const bool nonnegative[] = {surely(Bound::kNonnegative, left.view()), surely(Bound::kNonnegative, right.view())};
  AtomFacts fact;
  fact.positive = either ? positive[0] || positive[1] : positive[0] && positive[1];
  fact.nonnegative = either ? nonnegative[0] || nonnegative[1] : nonnegative[0] && nonnegative[1];
  if (made.kind == Atom::Kind::kCeilDiv) {  // its divisor is above zero wherever it has a value at all
    fact.positive = positive[0];
    fact.nonnegative = nonnegative[0];
  }
  if (made.kind == Atom::Kind::kSymbol || made.kind == Atom::Kind::kPowerOfTwo) fact.positive = fact.nonnegative = true;
  return fact;
}

/// Each negative term has to be made up for by positive ones that are that monomial times atoms of at least one:
/// L·C - C is not below zero. Not every sum that stays above zero is found.
bool Pool::State::surely(Bound bound, SumView sum) const {
  const bool bounded = std::all_of(sum.begin(), sum.end(), [this](const Summand& summand) {
    const sparse::Powers& powers = monomials.powers(summand.monomial);
    return std::all_of(powers.begin(), powers.end(),
                       [this](const auto& factor) { return facts[static_cast<size_t>(factor.first)].nonnegative; });
  });
  if (!bounded) return false;
  Sum left(sum.begin(), sum.end());
  for (const Summand& negative : sum) {
    if (negative.coefficient.numerator < 0 && !make_up_for(negative, left)) return false;
  }
  return bound == Bound::kNonnegative || std::any_of(left.begin(), left.end(), [this](const Summand& summand) {
           return summand.coefficient.numerator > 0 && at_least(summand.monomial, 0);
         });
}

bool Pool::State::make_up_for(const Summand& negative, Sum& left) const {
  int64_t missing = -negative.coefficient.numerator;
  if (negative.coefficient.divisor != 1) return false;
  for (Summand& summand : left) {
    int64_t& there = summand.coefficient.numerator;
    if (there <= 0 || summand.coefficient.divisor != 1 || !at_least(summand.monomial, negative.monomial)) continue;
    const int64_t taken = std::min(there, missing);
    there -= taken;
    missing -= taken;
  }
  return missing == 0;
}

/// Whether monomial a is monomial b times powers, none negative, of atoms that are at least one.
bool Pool::State::at_least(int32_t a, int32_t b) const {
  const sparse::Powers& larger = monomials.powers(a);
  const sparse::Powers& smaller = monomials.powers(b);
  auto x = larger.begin();
  auto y = smaller.begin();
  while (x != larger.end() || y != smaller.end()) {
    const bool only_x = y == smaller.end() || (x != larger.end() && x->first < y->first);
    const bool only_y = !only_x && (x == larger.end() || y->first < x->first);
    const int32_t atom = only_y ? y->first : x->first;
    const int64_t more = int64_t{only_y ? 0 : x->second} - int64_t{only_x ? 0 : y->second};
    if (more < 0 || (more > 0 && !facts[static_cast<size_t>(atom)].positive)) return false;
    if (!only_y) ++x;
    if (!only_x) ++y;
  }
  return true;
}

bool Pool::State::at_least(Expr a, Expr b) const {
  const Summands left(*this, a);
  const Summands right(*this, b);
  Sum more;
  return sparse::subtract(left.view(), right.view(), more) && surely(Bound::kNonnegative, more);
}

bool surely_at_least(Expr a, Expr b) {
  if (a.is_number() && b.is_number()) return a.number() >= b.number();
  if (a.overflowed() || b.overflowed() || (a.is_formula() && b.is_formula() && a.pool() != b.pool())) return false;
  return (a.is_formula() ? a : b).pool()->state_->at_least(a, b);
}

}  // namespace peakmem
