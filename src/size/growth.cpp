// How formulas move with one symbol; declared in terms.h.
#include <algorithm>
#include <map>

#include "size/terms.h"

namespace peakmem {
namespace {

/// Applies a rule to every atom in order, the rule seeing what it gave for earlier ones: operands use no later atoms.
template <class Fact, class Rule>
std::vector<Fact> for_each_atom(const Pool& pool, const Rule& rule) {
  std::vector<Fact> facts;
  facts.reserve(pool.atoms());
  const size_t count = pool.atoms();  // a rule may add formulas
  for (size_t i = 0; i < count; ++i) facts.push_back(rule(static_cast<int32_t>(i), facts));
  return facts;
}

Degree degree_of(Expr e, const std::vector<Degree>& atoms) {
  Degree highest = {0, false};
  bool first = true;
  for (const auto& [monomial, coefficient] : polynomial_of(e)) {
    Degree total;
    for (const auto& [atom, power] : monomial.powers) {
      const Degree factor = atoms[static_cast<size_t>(atom)];
      total.power += factor.power * power;
      total.approximate |= factor.approximate;
    }
    highest.power = first ? total.power : std::max(highest.power, total.power);
    highest.approximate |= total.approximate;
    first = false;
  }
  return highest;
}

Degree degree_of_atom(const Atom& atom, std::string_view symbol, const std::vector<Degree>& earlier) {
  if (atom.kind == Atom::Kind::kSymbol) return {atom.name == symbol ? 1 : 0, false};
  const Degree left = degree_of(atom.left, earlier);
  const Degree right = degree_of(atom.right, earlier);
  const bool approximate = left.power != 0 || right.power != 0 || left.approximate || right.approximate;
  switch (atom.kind) {
    case Atom::Kind::kSymbol:
      break;
    case Atom::Kind::kCeilDiv:  // a quotient that vanishes rounds up to 1
      return {std::max(0, left.power - right.power), approximate};
    case Atom::Kind::kExactDiv:
      return {left.power - right.power, approximate};
    case Atom::Kind::kMost:
      return {std::max(left.power, right.power), approximate};
    case Atom::Kind::kLeast:
      return {std::min(left.power, right.power), approximate};
    case Atom::Kind::kPowerOfTwo:
      return {std::max(0, left.power), approximate};
  }
  return {};
}

Growth flipped(Growth growth) {
  if (growth == Growth::kUp) return Growth::kDown;
  return growth == Growth::kDown ? Growth::kUp : growth;
}

/// Of a sum, and of a product of factors that are not negative.
Growth together(Growth a, Growth b) {
  if (a == Growth::kNone) return b;
  return b == Growth::kNone || a == b ? a : Growth::kUnknown;
}

/// Growth of an atom's operands and so of the atom, and whether the atom stays at or above zero.
struct Motion {
  Growth growth = Growth::kNone;
  bool nonnegative = false;
};

/// Growth of formulas in one symbol, from that of the atoms so far.
class Mover {
 public:
  Mover(Pool& pool, std::string_view symbol) : pool_(pool), symbol_(symbol) {}

  Growth of(Expr e, const std::vector<Motion>& atoms) const {
    // Terms with the same part that moves share a factor that does not: L·x - x moves as (L - 1)·x.
    std::map<Monomial, std::vector<Term>> by_part;
    for (const auto& [monomial, coefficient] : polynomial_of(e)) {
      Monomial part;
      Term rest = {{{}, monomial.divisor}, coefficient, 0};
      for (const auto& factor : monomial.powers) {
        const bool moves = atoms[static_cast<size_t>(factor.first)].growth != Growth::kNone;
        (moves ? part : rest.monomial).powers.push_back(factor);
      }
      by_part[part].push_back(rest);
    }
    Growth sum = Growth::kNone;
    for (const auto& [part, rests] : by_part) {
      if (!part.powers.empty()) sum = together(sum, signed_growth(of_product(part, atoms), rests, atoms));
    }
    return sum;
  }

  Motion of_atom(int32_t index, const std::vector<Motion>& earlier) const {
    const Atom atom = pool_.atom(index);
    if (atom.kind == Atom::Kind::kSymbol) return {atom.name == symbol_ ? Growth::kUp : Growth::kNone, true};
    Motion motion;
    motion.nonnegative = surely_at_least(formula_of_atom(index, pool_), 0);
    const Growth left = of(atom.left, earlier);
    const Growth right = of(atom.right, earlier);
    if (atom.kind == Atom::Kind::kMost || atom.kind == Atom::Kind::kLeast) {
      motion.growth = together(left, right);
    } else if (right == Growth::kNone && atom.kind != Atom::Kind::kExactDiv) {
      motion.growth = left;
    } else {
      const bool signs_known = surely_at_least(atom.left, 0) && surely_at_least(atom.right, 0);
      const bool still = left == Growth::kNone && right == Growth::kNone;
      motion.growth = signs_known || still ? together(left, flipped(right)) : Growth::kUnknown;
    }
    return motion;
  }

 private:
  static Growth of_product(const Monomial& part, const std::vector<Motion>& atoms) {
    Growth product = Growth::kNone;
    for (const auto& [atom, power] : part.powers) {
      const Motion& factor = atoms[static_cast<size_t>(atom)];
      if (!factor.nonnegative && (part.powers.size() > 1 || power != 1)) return Growth::kUnknown;
      product = together(product, power > 0 ? factor.growth : flipped(factor.growth));
    }
    return product;
  }

  Growth signed_growth(Growth growth, const std::vector<Term>& factor, const std::vector<Motion>& atoms) const {
    const auto has_sign = [&](int64_t sign) {
      return std::all_of(factor.begin(), factor.end(), [&](const Term& term) {
        const auto& powers = term.monomial.powers;
        return term.coefficient * sign > 0 && std::all_of(powers.begin(), powers.end(), [&](const auto& power) {
                 return atoms[static_cast<size_t>(power.first)].nonnegative;
               });
      });
    };
    if (has_sign(1)) return growth;
    if (has_sign(-1)) return flipped(growth);
    const Expr sum = scaled_sum(factor);
    if (surely_at_least(sum, 0)) return growth;
    return surely_at_least(0, sum) ? flipped(growth) : Growth::kUnknown;
  }

  /// A formula of the same sign as the terms' sum: their divisors, which no constant has, are multiplied away.
  Expr scaled_sum(const std::vector<Term>& all) const {
    Expr scale = 1;
    for (const Term& term : all) scale *= term.monomial.divisor;
    Expr sum = 0;
    for (const Term& term : all) {
      const Term whole = {{term.monomial.powers, 1}, term.coefficient, 0};
      sum += exact_div(scale, term.monomial.divisor) * formula_of(whole, pool_);
    }
    return sum;
  }

  Pool& pool_;
  std::string_view symbol_;
};

}  // namespace

Degree degree(Expr formula, std::string_view symbol) {
  if (!formula.is_formula()) return {};
  const Pool& pool = *formula.pool();
  return degree_of(formula, for_each_atom<Degree>(pool, [&](int32_t i, const std::vector<Degree>& earlier) {
                     return degree_of_atom(pool.atom(i), symbol, earlier);
                   }));
}

Growth growth(Expr formula, std::string_view symbol) {
  if (!formula.is_formula()) return Growth::kNone;
  const Mover mover(*formula.pool(), symbol);
  return mover.of(formula, for_each_atom<Motion>(*formula.pool(), [&](int32_t i, const std::vector<Motion>& earlier) {
                    return mover.of_atom(i, earlier);
                  }));
}

}  // namespace peakmem
