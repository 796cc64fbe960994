// From which value of a symbol on one formula is at least another; declared in terms.h.
#include <algorithm>
#include <cmath>
#include <map>

#include "size/terms.h"

namespace peakmem {
namespace {

// Ranges up to this length are tried value by value where nothing is known of the formulas.
constexpr int64_t kTried = 4096;

/// How often and in which direction `a >= b` can change while the symbol rises.
enum class Change { kToTrue, kToFalse, kUnknown };

/// Whether a >= b at values of the symbol: exactly where both have a value there, else in real numbers.
class Question {
 public:
  Question(Expr a, Expr b, size_t place, SymbolValues symbol_values)
      : a_(a), b_(b), place_(place), symbol_values_(std::move(symbol_values)) {
    if (symbol_values_.size() <= place_) symbol_values_.resize(place_ + 1, 1);
  }

  bool holds(int64_t value) {
    symbol_values_[place_] = value;
    const Pool& pool = *(a_.is_formula() ? a_ : b_).pool();
    pool.evaluate(symbol_values_, values_);
    const int64_t a = value_of(a_, values_);
    const int64_t b = value_of(b_, values_);
    const int64_t none = Expr::kNoNumber;
    if (a != none && b != none) return a >= b;
    return real_value(a_, symbol_values_) >= real_value(b_, symbol_values_);
  }

  /// By Descartes' rule: a polynomial whose coefficients change sign once has one positive root.
  Change by_signs(std::string_view symbol) {
    symbol_values_[place_] = 1;  // so that a term's value is its coefficient of the symbol's power
    std::map<int64_t, std::pair<double, double>> by_power;  // (sum, sum of sizes)
    for (const Term& term : terms(a_ - b_, symbol_values_)) {
      const auto power = power_of(term.monomial, symbol);
      if (!power) return Change::kUnknown;
      by_power[*power].first += term.value;
      by_power[*power].second += std::fabs(term.value);
    }
    int changes = 0;
    double last = 0;
    for (const auto& [power, sums] : by_power) {
      const auto& [sum, size] = sums;
      if (!(std::fabs(sum) > size * 1e-12)) continue;  // cancelled but for rounding
      if (last * sum < 0) ++changes;
      last = sum > 0 ? 1 : -1;
    }
    if (changes > 1) return Change::kUnknown;
    return last < 0 ? Change::kToFalse : Change::kToTrue;
  }

 private:
  /// None if an operation in the monomial moves with the symbol.
  std::optional<int64_t> power_of(const Monomial& monomial, std::string_view symbol) const {
    Pool& pool = *(a_.is_formula() ? a_ : b_).pool();
    int64_t found = 0;
    for (const auto& [index, power] : monomial.powers) {
      const Atom& atom = pool.atom(index);
      if (atom.kind != Atom::Kind::kSymbol) {
        if (growth(formula_of_atom(index, pool), symbol) != Growth::kNone) return std::nullopt;
      } else if (atom.name == symbol) {
        found = power;
      }
    }
    return found;
  }

  Expr a_;
  Expr b_;
  size_t place_;
  SymbolValues symbol_values_;
  std::vector<int64_t> values_;
};

Crossing first_in(Question& question, int64_t low, int64_t high) {
  if (!question.holds(high)) return {Crossing::Kind::kNever, 0};
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (question.holds(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return {Crossing::Kind::kAt, low};
}

Crossing first_tried(Question& question, int64_t low, int64_t high) {
  if (high - low > kTried) return {};
  for (int64_t value = low; value <= high; ++value) {
    if (question.holds(value)) return {Crossing::Kind::kAt, value};
  }
  return {Crossing::Kind::kNever, 0};
}

Change change(Question& question, Expr difference, std::string_view symbol) {
  switch (growth(difference, symbol)) {
    case Growth::kNone:
    case Growth::kUp:
      return Change::kToTrue;
    case Growth::kDown:
      return Change::kToFalse;
    case Growth::kUnknown:
      break;
  }
  return question.by_signs(symbol);
}

}  // namespace

Crossing crossing(Expr a, Expr b, std::string_view symbol, SymbolValues symbol_values, int64_t low, int64_t high) {
  low = std::max<int64_t>(low, 1);
  const Expr difference = a - b;
  if (low > high) return {Crossing::Kind::kNever, 0};
  if (difference.overflowed()) return {};
  const Pool* pool = (a.is_formula() ? a : b).pool();
  const int32_t place = pool == nullptr ? -1 : pool->symbol_index(symbol);
  if (place < 0) {
    const bool holds = pool == nullptr ? a.number() >= b.number() : real_value(difference, symbol_values) >= 0;
    return holds ? Crossing{Crossing::Kind::kAt, low} : Crossing{Crossing::Kind::kNever, 0};
  }
  Question question(a, b, static_cast<size_t>(place), std::move(symbol_values));
  switch (change(question, difference, symbol)) {
    case Change::kToTrue:
      return first_in(question, low, high);
    case Change::kToFalse:
      return question.holds(low) ? Crossing{Crossing::Kind::kAt, low} : Crossing{Crossing::Kind::kNever, 0};
    case Change::kUnknown:
      break;
  }
  return first_tried(question, low, high);
}

}  // namespace peakmem
