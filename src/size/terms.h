// What can be asked of a formula: its terms by value, how it grows in a symbol, where two of them cross.
//
// `symbol_values` are always in the order of first `Pool::symbol` call, as for Pool::evaluate. Where shares and orders
// are wanted rather than bytes the values are doubles, which pass 63 bits and need no division to come out whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "size/expr.h"

namespace peakmem {

using SymbolValues = std::vector<int64_t>;

/// One monomial of a formula with its coefficient, and its value where the symbols have values (else 0).
struct Term {
  Monomial monomial;
  int64_t coefficient = 0;
  double value = 0;

  /// The sum of the monomial's powers.
  int64_t power() const;
};

/// Whether a stands before b in a formula: by value, then by power; neither for equals.
bool comes_first(const Term& a, const Term& b);

/// The exact value of one formula, `Expr::kNoNumber` if it has none.
int64_t evaluate(Expr formula, const SymbolValues& symbol_values);
/// The value in real numbers: quotients need not come out whole. NaN if a symbol has no value.
double real_value(Expr formula, const SymbolValues& symbol_values);

/// The terms, largest value first; without values highest total power first.
std::vector<Term> terms(Expr formula, const SymbolValues& symbol_values = {});
/// The term as a formula of `pool`, which must be that of its atoms.
Expr formula_of(const Term& term, Pool& pool);
/// The formula an atom stands for.
Expr formula_of_atom(int32_t atom, Pool& pool);

/// What `simplify` keeps of a formula, and the share of the value it left out (negative if it kept too much).
struct Simplified {
  Expr kept;
  double error = 0;
  size_t dropped = 0;
};

/// Drops the smallest terms, of at most `share` of the value together.
Simplified simplify(Expr formula, const SymbolValues& symbol_values, double share);
/// The formula with every ⌈a/b⌉ replaced by a/b, so that 512·⌈B·T/512⌉ is B·T: the size before rounding up.
Expr without_rounding(Expr formula);

/// The highest power of a symbol; `approximate` where it stands inside an operation or under a division.
struct Degree {
  int32_t power = 0;
  bool approximate = false;
};
Degree degree(Expr formula, std::string_view symbol);

/// How a formula moves when one symbol rises and the others stay: up means never down.
enum class Growth { kNone, kUp, kDown, kUnknown };
Growth growth(Expr formula, std::string_view symbol);

/// The smallest value of a symbol from which a >= b.
struct Crossing {
  enum class Kind { kAt, kNever, kUnknown };
  Kind kind = Kind::kUnknown;
  int64_t value = 0;  // of kAt
};

/// Looks in [low, high], the other symbols as given (the value of `symbol` itself is ignored). Unknown where the
/// formulas may cross more than once and the range is too long to try every value.
Crossing crossing(Expr a, Expr b, std::string_view symbol, SymbolValues symbol_values, int64_t low, int64_t high);

}  // namespace peakmem
