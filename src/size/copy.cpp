#include "size/copy.h"

#include <algorithm>

namespace peakmem {

Expr FormulaCopy::of(Expr e) {
  if (!e.is_formula()) return e;
  nodes_.resize(from_.size(), Expr(0));
  atoms_.resize(from_.atoms(), Expr(0));
  return copy(e.node());
}

Expr FormulaCopy::copy(int32_t node) {
  Expr& known = nodes_[static_cast<size_t>(node)];
  if (!identical(known, 0)) return known;
  Polynomial sum;
  Pool* to = nullptr;
  for (const auto& [monomial, coefficient] : from_.polynomial(node)) {
    Monomial copied = {{}, monomial.divisor};
    for (const auto& [index, power] : monomial.powers) {
      const Expr factor = atom(index);
      if (!factor.is_formula()) return known = Expr::overflow();
      to = factor.pool();
      copied.powers.emplace_back(to->polynomial(factor.node()).begin()->first.powers[0].first, power);
    }
    std::sort(copied.powers.begin(), copied.powers.end());
    sum.emplace(std::move(copied), coefficient);
  }
  return known = to == nullptr ? Expr::overflow() : to->formula(sum);
}

Expr FormulaCopy::atom(int32_t index) {
  Expr& known = atoms_[static_cast<size_t>(index)];
  if (identical(known, 0)) known = made(from_.atom(index));
  return known;
}

Expr FormulaCopy::made(const Atom& atom) {
  if (atom.kind == Atom::Kind::kSymbol) return symbols_[static_cast<size_t>(from_.symbol_index(atom.name))];
  const Expr left = of(atom.left);
  const Expr right = of(atom.right);
  return operate(atom.kind, left, right);
}

std::vector<Expr> copy_formulas(const Pool& from, const std::vector<Expr>& symbols) {
  FormulaCopy copies(from, symbols);
  copies.nodes_.resize(from.size(), Expr(0));
  copies.atoms_.resize(from.atoms(), Expr(0));
  for (size_t node = 0; node < from.size(); ++node) copies.copy(static_cast<int32_t>(node));
  return std::move(copies.nodes_);
}

}  // namespace peakmem
