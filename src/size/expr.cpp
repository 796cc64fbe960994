#include "size/expr.h"

#include <algorithm>
#include <numeric>

#include "size/pool_state.h"

namespace peakmem {
namespace {

using sparse::Sum;
using sparse::Summand;
using sparse::SumView;
using Kind = Operation::Kind;

/// The pool both operands can be used in: null if one is the overflow value or their pools differ.
Pool* shared_pool(Expr a, Expr b) {
  if (a.overflowed() || b.overflowed()) return nullptr;
  if (a.is_formula() && b.is_formula() && a.pool() != b.pool()) return nullptr;
  return a.is_formula() ? a.pool() : b.pool();
}

int64_t power_of_two_number(int64_t a) {
  constexpr int64_t kHighest = int64_t{1} << 61;
  if (a > kHighest) return Expr::kNoNumber;
  int64_t power = 1;
  while (power < a) power *= 2;
  return power;
}
int64_t ceil_div_numbers(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

/// Puts the operands of a commutative operation into one order, numbers first.
void sort_operands(Expr& a, Expr& b) {
  const bool both = a.is_formula() && b.is_formula();
  if (both ? a.node() > b.node() : a.is_formula()) std::swap(a, b);
}

/// The largest integer that divides every coefficient of both; 1 if some term need not be an integer.
int64_t common_content(const sparse::Monomials& monomials, SumView a, SumView b) {
  int64_t content = 0;
  for (const SumView sum : {a, b}) {
    for (const Summand& summand : sum) {
      if (summand.coefficient.divisor != 1 || !monomials.whole(summand.monomial)) return 1;
      content = std::gcd(content, summand.coefficient.numerator);
    }
  }
  return content;
}

}  // namespace

// Formulas and atoms --------------------------------------------------------------------------------------------------

Expr Pool::State::make(SumView sum) {
  if (sum.empty()) return 0;
  if (sum.size() == 1 && sum.front().monomial == 0) {
    const sparse::Fraction constant = sum.front().coefficient;
    return constant.divisor == 1 ? Expr(constant.numerator) : Expr::overflow();
  }
  const uint64_t hash = sparse::hash(sum);
  const int32_t found = node_index.find(hash, [&](int32_t place) {
    const SumView other = this->sum(place);
    return std::equal(other.begin(), other.end(), sum.begin(), sum.end());
  });
  if (found >= 0) return Expr(places[static_cast<size_t>(found)]);
  const auto node = static_cast<int32_t>(nodes.size());
  nodes.push_back(
      {summands.size(), sum.size(), hash, static_cast<int32_t>(atoms.size()), static_cast<int32_t>(monomials.size())});
  summands.insert(summands.end(), sum.begin(), sum.end());
  node_index.insert(node, [this](int32_t place) { return nodes[static_cast<size_t>(place)].hash; });
  places.push_back({pool, node});
  return Expr(places.back());
}

Expr Pool::State::atom(Atom wanted) {
  for (size_t i = 0; i < atoms.size(); ++i) {
    const Atom& made = atoms[i];
    if (made.kind == wanted.kind && made.name == wanted.name && identical(made.left, wanted.left) &&
        identical(made.right, wanted.right)) {
      return facts[i].formula;
    }
  }
  AtomFacts fact = facts_of(wanted);
  if (wanted.kind == Atom::Kind::kSymbol) fact.symbol = symbols++;
  const auto index = static_cast<int32_t>(atoms.size());
  atoms.push_back(std::move(wanted));
  fact.formula = make(Sum{{monomials.number({{index, 1}}), {1, 1}}});
  facts.push_back(fact);
  return fact.formula;
}

// Operations on formulas ----------------------------------------------------------------------------------------------

Expr Pool::State::apply(const Operation& operation) {
  const uint64_t hash = operation.hash();
  const int32_t found =
      known_index.find(hash, [&](int32_t place) { return known[static_cast<size_t>(place)].operation == operation; });
  if (found >= 0) return known[static_cast<size_t>(found)].result;
  const Expr result = compute(operation);
  known.push_back({operation, result});
  known_index.insert(static_cast<int32_t>(known.size() - 1),
                     [this](int32_t place) { return known[static_cast<size_t>(place)].operation.hash(); });
  return result;
}

Expr Pool::State::compute(const Operation& operation) {
  const auto [kind, a, b] = operation;
  switch (kind) {
    case Kind::kAdd:
      return add(a, b);
    case Kind::kMultiply:
      return multiply(a, b);
    case Kind::kCeilDiv:
      return ceil_div(a, b);
    case Kind::kExactDiv:
      return exact_div(a, b);
    case Kind::kMost:
      return pick(Atom::Kind::kMost, a, b);
    case Kind::kLeast:
      return pick(Atom::Kind::kLeast, a, b);
    case Kind::kPowerOfTwo:
      return atom({Atom::Kind::kPowerOfTwo, {}, a, b});
  }
  return Expr::overflow();
}

Expr Pool::State::add(Expr a, Expr b) {
  Sum sum;
  return sparse::add(Summands(*this, a).view(), Summands(*this, b).view(), sum) ? make(sum) : Expr::overflow();
}

Expr Pool::State::multiply(Expr a, Expr b) {
  for (const auto& [quotient, divisor] : {std::pair(a, b), std::pair(b, a)}) {
    const Expr cancelled = multiply_cancelling(quotient, divisor);
    if (!is_one(cancelled)) return cancelled;
  }
  Sum product;
  const Summands left(*this, a);
  const Summands right(*this, b);
  return sparse::multiply(monomials, left.view(), right.view(), product) ? make(product) : Expr::overflow();
}

/// (p / q) · q is p also where q is a sum, so that p / q is an atom; 1 if the operands are not of that form.
Expr Pool::State::multiply_cancelling(Expr quotient, Expr divisor) {
  if (!quotient.is_formula() || !divisor.is_formula()) return 1;
  if (sum(quotient.node()).size() != 1 || sum(divisor.node()).size() == 1) return 1;
  for (const auto& [index, power] : monomials.powers(sum(quotient.node()).front().monomial)) {
    const Atom& made = atoms[static_cast<size_t>(index)];
    if (made.kind != Atom::Kind::kExactDiv || power < 1 || !identical(made.right, divisor)) continue;
    const Expr dividend = made.left;
    return peakmem::exact_div(quotient, facts[static_cast<size_t>(index)].formula) * dividend;
  }
  return 1;
}

Expr Pool::State::exact_div(Expr a, Expr b) {
  const Summands dividend(*this, a);
  const Summands divisor(*this, b);
  if (divisor.view().size() > 1) return divide_by_sum(a, b);
  const auto inverse = sparse::inverse(monomials, divisor.view().front());
  Sum quotient;
  if (!inverse || !sparse::multiply(monomials, dividend.view(), {&*inverse, 1}, quotient)) return Expr::overflow();
  return make(quotient);
}

/// A monomial if a is that times b, else an atom.
Expr Pool::State::divide_by_sum(Expr a, Expr b) {
  const Summands dividend(*this, a);
  const Summands divisor(*this, b);
  if (identical(a, Expr(0))) return 0;
  for (const Summand& summand : divisor.view()) {
    if (dividend.view().size() != divisor.view().size()) break;
    const auto inverse = sparse::inverse(monomials, summand);
    Sum quotient;
    Sum product;
    if (inverse && sparse::multiply(monomials, dividend.view().first(1), {&*inverse, 1}, quotient) &&
        sparse::multiply(monomials, quotient, divisor.view(), product) &&
        std::equal(product.begin(), product.end(), dividend.view().begin(), dividend.view().end())) {
      return make(quotient);
    }
  }
  return atom({Atom::Kind::kExactDiv, {}, a, b});
}

/// Terms that b divides for sure move out: ⌈(64·B + T) / 64⌉ is B + ⌈T / 64⌉. What is left is reduced: ⌈4·T / 6⌉ is
/// ⌈2·T / 3⌉.
Expr Pool::State::ceil_div(Expr a, Expr b) {
  const Summands divisor(*this, b);
  Expr outside = 0;
  if (divisor.view().size() == 1) {
    const auto inverse = sparse::inverse(monomials, divisor.view().front());
    Sum quotient;
    if (!inverse || !sparse::multiply(monomials, Summands(*this, a).view(), {&*inverse, 1}, quotient)) {
      return Expr::overflow();
    }
    std::erase_if(quotient, [this](const Summand& summand) {
      return summand.coefficient.divisor != 1 || !monomials.whole(summand.monomial);
    });
    outside = make(quotient);
    a = a - outside * b;
    if (a.overflowed()) return a;
    if (identical(a, Expr(0))) return outside;
  }
  const int64_t content = common_content(monomials, Summands(*this, a).view(), divisor.view());
  if (content > 1) return outside + peakmem::ceil_div(peakmem::exact_div(a, content), peakmem::exact_div(b, content));
  return outside + atom({Atom::Kind::kCeilDiv, {}, a, b});
}

/// The larger or smaller of both, an atom unless one is so for all values of the symbols.
Expr Pool::State::pick(Atom::Kind kind, Expr a, Expr b) {
  const bool larger = kind == Atom::Kind::kMost;
  if (at_least(a, b)) return larger ? a : b;
  if (at_least(b, a)) return larger ? b : a;
  return atom({kind, {}, a, b});
}

// Operations on Exprs -------------------------------------------------------------------------------------------------

Expr Expr::add_formulas(Expr a, Expr b) {
  Pool* pool = shared_pool(a, b);
  if (pool == nullptr) return overflow();
  sort_operands(a, b);
  if (identical(a, Expr(0))) return b;
  return pool->state_->apply({Kind::kAdd, a, b});
}

Expr Expr::multiply_formulas(Expr a, Expr b) {
  Pool* pool = shared_pool(a, b);
  if (pool == nullptr) return overflow();
  sort_operands(a, b);
  if (is_one(a)) return b;
  return pool->state_->apply({Kind::kMultiply, a, b});
}

Expr ceil_div(Expr a, Expr b) {
  if (b.is_number() && b.number() <= 0) return Expr::overflow();
  if (a.is_number() && b.is_number()) return ceil_div_numbers(a.number(), b.number());
  Pool* pool = shared_pool(a, b);
  if (pool == nullptr) return Expr::overflow();
  if (is_one(b) || identical(a, Expr(0))) return a;
  if (identical(a, b)) return 1;
  return pool->state_->apply({Kind::kCeilDiv, a, b});
}

Expr exact_div(Expr a, Expr b) {
  if (identical(b, Expr(0))) return Expr::overflow();
  if (a.is_number() && b.is_number()) {
    return a.number() % b.number() == 0 ? Expr(a.number() / b.number()) : Expr::overflow();
  }
  Pool* pool = shared_pool(a, b);
  if (pool == nullptr) return Expr::overflow();
  if (is_one(b)) return a;
  if (identical(a, b)) return 1;
  return pool->state_->apply({Kind::kExactDiv, a, b});
}

Expr most(Expr a, Expr b) {
  if (a.is_number() && b.is_number()) return a.number() > b.number() ? a : b;
  Pool* pool = shared_pool(a, b);
  if (pool == nullptr) return Expr::overflow();
  if (identical(a, b)) return a;
  sort_operands(a, b);
  return pool->state_->apply({Kind::kMost, a, b});
}

Expr least(Expr a, Expr b) {
  if (a.is_number() && b.is_number()) return a.number() < b.number() ? a : b;
  Pool* pool = shared_pool(a, b);
  if (pool == nullptr) return Expr::overflow();
  if (identical(a, b)) return a;
  sort_operands(a, b);
  return pool->state_->apply({Kind::kLeast, a, b});
}

Expr power_of_two(Expr a) {
  if (a.overflowed()) return a;
  if (a.is_number()) return power_of_two_number(a.number());
  return a.pool()->state_->apply({Kind::kPowerOfTwo, a, 1});
}

Expr operate(Atom::Kind kind, Expr left, Expr right) {
  switch (kind) {
    case Atom::Kind::kSymbol:
      break;
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
  }
  return Expr::overflow();
}

// The pool ------------------------------------------------------------------------------------------------------------

Pool::Pool() : state_(std::make_unique<State>(this)) {}
Pool::~Pool() = default;

Expr Pool::symbol(std::string_view name) {
  const auto known = state_->symbol_atoms.find(name);
  if (known != state_->symbol_atoms.end()) return state_->facts[static_cast<size_t>(known->second)].formula;
  state_->symbol_atoms.emplace(name, static_cast<int32_t>(state_->atoms.size()));
  return state_->atom({Atom::Kind::kSymbol, std::string(name), {}, {}});
}

int32_t Pool::symbol_index(std::string_view name) const {
  const auto known = state_->symbol_atoms.find(name);
  return known == state_->symbol_atoms.end() ? -1 : state_->facts[static_cast<size_t>(known->second)].symbol;
}

size_t Pool::symbols() const { return static_cast<size_t>(state_->symbols); }
size_t Pool::size() const { return state_->nodes.size(); }
const Atom& Pool::atom(int32_t index) const { return state_->atoms[static_cast<size_t>(index)]; }
size_t Pool::atoms() const { return state_->atoms.size(); }

const Polynomial& Pool::polynomial(int32_t node) const {
  const auto [entry, added] = state_->polynomials.try_emplace(node);
  if (!added) return entry->second;
  for (const Summand& summand : state_->sum(node)) {
    const sparse::Fraction coefficient = summand.coefficient;
    entry->second.emplace(Monomial{state_->monomials.powers(summand.monomial), coefficient.divisor},
                          coefficient.numerator);
  }
  return entry->second;
}

Expr Pool::formula(const Polynomial& sum) {
  Sum made;
  for (const auto& [monomial, coefficient] : sum)
    made.push_back({state_->monomials.number(monomial.powers), {coefficient, monomial.divisor}});
  std::sort(made.begin(), made.end(), [](const Summand& a, const Summand& b) { return a.monomial < b.monomial; });
  return state_->make(made);
}

size_t Pool::terms(int32_t node) const { return state_->sum(node).size(); }

Polynomial polynomial_of(Expr e) {
  if (e.is_formula()) return e.pool()->polynomial(e.node());
  if (identical(e, Expr(0))) return {};
  return {{Monomial{}, e.number()}};
}

}  // namespace peakmem
