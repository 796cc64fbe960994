#include "size/terms.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <span>

#include "size/order.h"

namespace peakmem {
namespace {

double real_term(const Monomial& monomial, int64_t coefficient, const std::vector<double>& atoms) {
  double value = static_cast<double>(coefficient) / static_cast<double>(monomial.divisor);
  for (const auto& [atom, power] : monomial.powers) value *= __builtin_powi(atoms[static_cast<size_t>(atom)], power);
  return value;
}

double real_sum(Expr e, const std::vector<double>& atoms) {
  if (e.overflowed()) return std::numeric_limits<double>::quiet_NaN();
  if (e.is_number()) return static_cast<double>(e.number());
  double sum = 0;
  for (const auto& [monomial, coefficient] : e.pool()->polynomial(e.node())) {
    sum += real_term(monomial, coefficient, atoms);
  }
  return sum;
}

double real_atom(const Pool& pool, const Atom& atom, const SymbolValues& symbol_values,
                 const std::vector<double>& earlier) {
  const double left = real_sum(atom.left, earlier);
  const double right = real_sum(atom.right, earlier);
  switch (atom.kind) {
    case Atom::Kind::kSymbol: {
      const auto place = static_cast<size_t>(pool.symbol_index(atom.name));
      return place < symbol_values.size() ? static_cast<double>(symbol_values[place])
                                          : std::numeric_limits<double>::quiet_NaN();
    }
    case Atom::Kind::kCeilDiv:
      return std::ceil(left / right);
    case Atom::Kind::kExactDiv:
      return left / right;
    case Atom::Kind::kMost:
      return std::fmax(left, right);
    case Atom::Kind::kLeast:
      return std::fmin(left, right);
    case Atom::Kind::kPowerOfTwo:
      return left > 1 ? std::exp2(std::ceil(std::log2(left))) : 1;
  }
  return 0;
}

/// An atom's operands use only atoms before it, so one pass in order gives every atom's value.
std::vector<double> real_atoms(const Pool& pool, const SymbolValues& symbol_values) {
  std::vector<double> values;
  values.reserve(pool.atoms());
  for (size_t i = 0; i < pool.atoms(); ++i) {
    values.push_back(real_atom(pool, pool.atom(static_cast<int32_t>(i)), symbol_values, values));
  }
  return values;
}

Expr raised(Expr base, int64_t power) {
  Expr result = 1;
  for (; power > 0; power /= 2) {
    if (power % 2 != 0) result *= base;
    if (power > 1) base *= base;
  }
  return result;
}

/// The sum of terms as a formula, with `formula_of` telling what stands for each atom. Divisors are taken out to one
/// division at the end, since T/2 + 1/2 is a formula and 1/2 alone is not.
template <class FormulaOf>
Expr sum_of(std::span<const Term> all, const FormulaOf& formula_of) {
  Expr divisor = 1;
  for (const Term& term : all) {
    if (!divisor.overflowed()) divisor *= term.monomial.divisor / std::gcd(divisor.number(), term.monomial.divisor);
  }
  Expr sum = 0;
  for (const Term& term : all) {
    Expr product = term.coefficient * exact_div(divisor, term.monomial.divisor);
    for (const auto& [atom, power] : term.monomial.powers) {
      const Expr factor = raised(formula_of(atom), std::abs(int64_t{power}));
      product = power > 0 ? product * factor : exact_div(product, factor);
    }
    sum += product;
  }
  return exact_div(sum, divisor);
}

/// Which atoms the formula is made of, operands of operands included.
std::vector<bool> used_atoms(Expr formula) {
  const Pool& pool = *formula.pool();
  std::vector<bool> used(pool.atoms());
  const auto mark = [&](Expr e) {
    for (const auto& [monomial, coefficient] : polynomial_of(e)) {
      for (const auto& [atom, power] : monomial.powers) used[static_cast<size_t>(atom)] = true;
    }
  };
  mark(formula);
  for (size_t i = used.size(); i-- > 0;) {
    if (!used[i]) continue;
    mark(pool.atom(static_cast<int32_t>(i)).left);
    mark(pool.atom(static_cast<int32_t>(i)).right);
  }
  return used;
}

}  // namespace

int64_t Term::power() const {
  int64_t total = 0;
  for (const auto& [atom, power] : monomial.powers) total += power;
  return total;
}

bool comes_first(const Term& a, const Term& b) {
  const double x = std::fabs(a.value);
  const double y = std::fabs(b.value);
  return x > y || x < y ? x > y : a.power() > b.power();
}

int64_t evaluate(Expr formula, const SymbolValues& symbol_values) {
  return formula.is_formula() ? value_of(formula, formula.pool()->evaluate(symbol_values)) : formula.number();
}

double real_value(Expr formula, const SymbolValues& symbol_values) {
  return real_sum(formula, formula.is_formula() ? real_atoms(*formula.pool(), symbol_values) : std::vector<double>());
}

std::vector<Term> terms(Expr formula, const SymbolValues& symbol_values) {
  const bool valued = formula.is_number() || !symbol_values.empty();
  std::vector<double> atoms;
  if (valued && formula.is_formula()) atoms = real_atoms(*formula.pool(), symbol_values);
  std::vector<Term> all;
  for (const auto& [monomial, coefficient] : polynomial_of(formula)) {
    const double value = valued ? real_term(monomial, coefficient, atoms) : 0;
    all.push_back({monomial, coefficient, std::isnan(value) ? 0 : value});
  }
  sort_rows(all, [](const Term& a, const Term& b) {
    if (comes_first(a, b) || comes_first(b, a)) return comes_first(a, b);
    return a.monomial < b.monomial;
  });
  return all;
}

Expr formula_of_atom(int32_t atom, Pool& pool) {
  const Atom& made = pool.atom(atom);
  if (made.kind == Atom::Kind::kSymbol) return pool.symbol(made.name);
  return operate(made.kind, made.left, made.right);
}

Expr formula_of(const Term& term, Pool& pool) {
  return sum_of({&term, 1}, [&pool](int32_t atom) { return formula_of_atom(atom, pool); });
}

Simplified simplify(Expr formula, const SymbolValues& symbol_values, double share) {
  Simplified result = {formula, 0, 0};
  const double total = real_value(formula, symbol_values);
  if (!formula.is_formula() || !(total > 0)) return result;
  std::vector<Term> kept = terms(formula, symbol_values);
  double sizes = 0;  // counted without signs, so that large terms do not leave in pairs
  double dropped = 0;
  while (kept.size() > 1 && sizes + std::fabs(kept.back().value) <= share * total) {
    sizes += std::fabs(kept.back().value);
    dropped += kept.back().value;
    kept.pop_back();
    ++result.dropped;
  }
  if (result.dropped == 0) return result;
  const Expr sum = sum_of(kept, [&](int32_t atom) { return formula_of_atom(atom, *formula.pool()); });
  return sum.overflowed() ? Simplified{formula, 0, 0} : Simplified{sum, dropped / total, result.dropped};
}

Expr without_rounding(Expr formula) {
  if (!formula.is_formula()) return formula;
  Pool& pool = *formula.pool();
  const std::vector<bool> used = used_atoms(formula);
  std::vector<Expr> smooth(used.size());  // what each atom becomes
  const auto rebuilt = [&](Expr e) {
    return sum_of(terms(e), [&smooth](int32_t atom) { return smooth[static_cast<size_t>(atom)]; });
  };
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) continue;
    const Atom atom = pool.atom(static_cast<int32_t>(i));
    if (atom.kind == Atom::Kind::kSymbol) {
      smooth[i] = pool.symbol(atom.name);
    } else {
      const auto kind = atom.kind == Atom::Kind::kCeilDiv ? Atom::Kind::kExactDiv : atom.kind;
      smooth[i] = operate(kind, rebuilt(atom.left), rebuilt(atom.right));
    }
  }
  return rebuilt(formula);
}

}  // namespace peakmem
