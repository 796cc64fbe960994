#include "size/copy.h"

#include <numeric>

namespace peakmem {
namespace {

/// What has been copied so far.
struct Copies {
  std::vector<Expr> nodes;
  std::vector<Expr> atoms;

  Expr of(Expr e) const { return e.is_formula() ? nodes[static_cast<size_t>(e.node())] : e; }
};

Expr copy_operation(const Atom& atom, const Copies& copies) {
  const Expr left = copies.of(atom.left);
  const Expr right = copies.of(atom.right);
  switch (atom.kind) {
    case Atom::Kind::kCeilDiv:
      return ceil_div(left, right);
    case Atom::Kind::kExactDiv:
      return exact_div(left, right);
    case Atom::Kind::kMost:
      return most(left, right);
    case Atom::Kind::kLeast:
      return least(left, right);
    case Atom::Kind::kPowerOfTwo:
      return power_of_two(left);
    case Atom::Kind::kSymbol:
      break;
  }
  return Expr::overflow();
}

/// Brings the atoms up to those that a polynomial has.
void copy_atoms(const Pool& from, const Polynomial& sum, const std::vector<Expr>& symbols, Copies& copies) {
  for (const auto& [monomial, coefficient] : sum)
    for (const auto& [index, power] : monomial.powers)
      while (copies.atoms.size() <= static_cast<size_t>(index)) {
        const Atom& atom = from.atom(static_cast<int32_t>(copies.atoms.size()));
        if (atom.kind == Atom::Kind::kSymbol)
          copies.atoms.push_back(symbols[static_cast<size_t>(from.symbol_index(atom.name))]);
        else
          copies.atoms.push_back(copy_operation(atom, copies));
      }
}

/// Divided in the end, for a term alone may be a fraction of a number: 1/3 of (B + 1)/3.
Expr copy_sum(const Polynomial& sum, const Copies& copies) {
  int64_t common = 1;
  for (const auto& [monomial, coefficient] : sum) common = std::lcm(common, monomial.divisor);
  Expr total = 0;
  for (const auto& [monomial, coefficient] : sum) {
    Expr over = Expr(coefficient) * Expr(common / monomial.divisor);
    Expr under = 1;
    for (const auto& [index, power] : monomial.powers)
      for (int32_t i = 0; i < (power > 0 ? power : -power); ++i)
        (power > 0 ? over : under) *= copies.atoms[static_cast<size_t>(index)];
    total += exact_div(over, under);
  }
  return exact_div(total, common);
}

}  // namespace

std::vector<Expr> copy_formulas(const Pool& from, const std::vector<Expr>& symbols) {
  Copies copies;
  copies.nodes.reserve(from.size());
  for (size_t node = 0; node < from.size(); ++node) {
    const Polynomial& sum = from.polynomial(static_cast<int32_t>(node));
    copy_atoms(from, sum, symbols, copies);
    copies.nodes.push_back(copy_sum(sum, copies));
  }
  return copies.nodes;
}

}  // namespace peakmem
