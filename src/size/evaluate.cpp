// Values of all formulas of a pool for given values of its symbols.
//
// A quotient C·N⁻¹ is an integer only where N divides C, and of (B+1)·N⁻¹ multiplied out neither term need be one
// while their sum is. So each term gives its whole part to the total, and the rests add up as a fraction that has to
// come out whole in the end.
#include "size/pool_state.h"

namespace peakmem {
namespace {

using sparse::Fraction;
using sparse::kPoison;

bool raise(int64_t base, int32_t power, int64_t& result) {
  result = 1;
  if (base == 1) return true;
  for (int64_t left = power; left > 0; left /= 2) {
    if (left % 2 != 0 && !sparse::multiply(result, base, result)) return false;
    if (left > 1 && !sparse::multiply(base, base, base)) return false;
  }
  return true;
}

/// Numerator and divisor of a monomial, multiplied up apart; the poisoned numerator if that cannot be.
Fraction monomial_value(const sparse::Powers& powers, const std::vector<int64_t>& atoms) {
  constexpr Fraction kPoisoned = {kPoison, 1};
  Fraction value = {1, 1};
  for (const auto& [atom, power] : powers) {
    const int64_t base = atoms[static_cast<size_t>(atom)];
    if (base == kPoison) return kPoisoned;
    int64_t& side = power > 0 ? value.numerator : value.divisor;
    int64_t factor = base;
    if (power != 1 && !raise(base, power > 0 ? power : -power, factor)) return kPoisoned;
    if (!sparse::multiply(side, factor, side)) return kPoisoned;
  }
  if (value.divisor == 0) return kPoisoned;
  return value.divisor > 0 ? value : Fraction{-value.numerator, -value.divisor};
}

/// Adds a term that is a quotient: its whole part to `total`, its rest to `rest`, which stays below one.
bool add_quotient(int64_t numerator, int64_t divisor, int64_t& total, Fraction& rest) {
  if (!sparse::add(total, numerator / divisor, total)) return false;
  if (numerator % divisor == 0) return true;
  const auto part = sparse::reduced(numerator % divisor, divisor);
  const auto sum = part ? sparse::add(rest, *part) : std::nullopt;
  if (!sum) return false;
  rest = {sum->numerator % sum->divisor, sum->divisor};
  return sparse::add(total, sum->numerator / sum->divisor, total);
}

int64_t sum_value(sparse::SumView sum, const std::vector<Fraction>& monomials) {
  int64_t total = 0;
  Fraction rest;
  for (const auto& [monomial, coefficient] : sum) {
    const Fraction value = monomials[static_cast<size_t>(monomial)];
    int64_t numerator = 0;
    int64_t divisor = 1;
    if (value.numerator == kPoison || !sparse::multiply(value.numerator, coefficient.numerator, numerator) ||
        !sparse::multiply(value.divisor, coefficient.divisor, divisor)) {
      return kPoison;
    }
    if (divisor == 1 ? !sparse::add(total, numerator, total) : !add_quotient(numerator, divisor, total, rest)) {
      return kPoison;
    }
  }
  return rest.numerator == 0 ? total : kPoison;
}

int64_t operation_value(Atom::Kind kind, int64_t left, int64_t right) {
  if (left == kPoison || right == kPoison) return kPoison;
  switch (kind) {
    case Atom::Kind::kSymbol:
      break;
    case Atom::Kind::kCeilDiv:
      return ceil_div(Expr(left), Expr(right)).number();
    case Atom::Kind::kExactDiv:
      return exact_div(Expr(left), Expr(right)).number();
    case Atom::Kind::kMost:
      return left > right ? left : right;
    case Atom::Kind::kLeast:
      return left < right ? left : right;
    case Atom::Kind::kPowerOfTwo:
      return power_of_two(Expr(left)).number();
  }
  return kPoison;
}

}  // namespace

std::vector<int64_t> Pool::evaluate(const std::vector<int64_t>& symbol_values) const {
  std::vector<int64_t> values;
  evaluate(symbol_values, values);
  return values;
}

void Pool::evaluate(const std::vector<int64_t>& symbol_values, std::vector<int64_t>& values) const {
  const State& state = *state_;
  std::vector<int64_t> atoms(state.atoms.size());
  std::vector<Fraction> monomials(state.monomials.size());
  size_t atom = 0;
  size_t monomial = 0;
  values.resize(state.nodes.size());
  for (size_t node = 0; node < values.size(); ++node) {
    for (; atom < static_cast<size_t>(state.nodes[node].atoms); ++atom) {
      const Atom& made = state.atoms[atom];
      const auto place = static_cast<size_t>(state.facts[atom].symbol);
      if (made.kind != Atom::Kind::kSymbol) {
        atoms[atom] = operation_value(made.kind, value_of(made.left, values), value_of(made.right, values));
      } else {
        atoms[atom] = place < symbol_values.size() && symbol_values[place] > 0 ? symbol_values[place] : kPoison;
      }
    }
    for (; monomial < static_cast<size_t>(state.nodes[node].monomials); ++monomial) {
      monomials[monomial] = monomial_value(state.monomials.powers(static_cast<int32_t>(monomial)), atoms);
    }
    values[node] = sum_value(state.sum(static_cast<int32_t>(node)), monomials);
  }
}

}  // namespace peakmem
