// A size is an integer or a formula.
//
// The same plain code gives a number when dims are integers and a formula when they are symbols:
//
//     Expr bytes = 4 * b * t * c;      // 6291456, or the polynomial 4·B·T·C
//
// A formula is kept in one normal form, a sum of monomials  coefficient · atom^n · atom^m …  where an atom is a
// symbol or one of ceil_div, most, least of two formulas, power_of_two of one. Like terms merge when it is built and
// equal formulas are the same node of their Pool, so no simplifier is needed. exact_div by a single monomial makes
// negative powers (C·N⁻¹) and divisors (D/2), which cancel again when multiplied back (D/2 + D/2 is D) and must divide
// without rest when evaluated; exact_div by a sum that is no factor is an atom too.
//
// There is no <, no == and no bool on purpose: which ops run may not depend on a symbol's value. What code may ask is
// whether two sizes are the same for sure (`identical`).
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "size/result.h"

namespace peakmem {

class Pool;

/// A formula's place in its pool, where an Expr points.
struct FormulaPlace {
  Pool* pool;
  int32_t node;
};

/// An integer, or a formula of a Pool: one word, copied freely; what leaves 62 bits becomes the overflow value.
///
///     number    value · 2
///     formula   address of its FormulaPlace + 1
///     overflow  the least number + 1
class Expr {
 public:
  constexpr Expr() = default;
  constexpr Expr(int64_t value) : word_(fits(value) ? value * 2 : kOverflow) {}  // NOLINT(google-explicit-constructor)
  static constexpr Expr overflow() { return Expr(kNoNumber); }
  /// What `number` gives for the overflow value; no Expr has it otherwise.
  static constexpr int64_t kNoNumber = -(int64_t{1} << 62);
  /// Whether an Expr can be that number.
  static constexpr bool fits(int64_t value) { return value > kNoNumber && value < -kNoNumber; }

  constexpr bool is_number() const { return (word_ & 1) == 0; }
  constexpr bool overflowed() const { return word_ == kOverflow; }
  constexpr bool is_formula() const { return !is_number() && !overflowed(); }
  /// The integer; only for an Expr that is one.
  constexpr int64_t number() const { return word_ >> 1; }
  /// The formula's place in its pool; only for an Expr that is one.
  int32_t node() const { return place()->node; }
  /// Null for what is no formula.
  Pool* pool() const { return is_formula() ? place()->pool : nullptr; }
  /// The same for what is identical, another one otherwise.
  constexpr uint64_t key() const { return static_cast<uint64_t>(word_); }

  // Of even words the lowest bit stays 0, and a sum that an int64_t cannot hold no Expr can.
  friend Expr operator+(Expr a, Expr b) {
    if (((a.word_ | b.word_) & 1) != 0) return add_formulas(a, b);
    Expr sum;
    if (__builtin_add_overflow(a.word_, b.word_, &sum.word_) || sum.word_ == kLeast) return overflow();
    return sum;
  }
  friend Expr operator*(Expr a, Expr b) {
    if (((a.word_ | b.word_) & 1) != 0) return multiply_formulas(a, b);
    Expr product;
    if (__builtin_mul_overflow(a.word_, b.number(), &product.word_) || product.word_ == kLeast) return overflow();
    return product;
  }
  friend Expr operator-(Expr a, Expr b) { return a + Expr(-1) * b; }
  Expr& operator+=(Expr other) { return *this = *this + other; }
  Expr& operator*=(Expr other) { return *this = *this * other; }

  /// ⌈a / b⌉, for b > 0.
  friend Expr ceil_div(Expr a, Expr b);
  /// a / b, which must leave no rest: the overflow value otherwise (a formula's rest is found when it is evaluated).
  friend Expr exact_div(Expr a, Expr b);
  /// The larger and the smaller; not named max and min, since those would compare.
  friend Expr most(Expr a, Expr b);
  friend Expr least(Expr a, Expr b);
  /// The smallest power of two that is at least `a`; 1 for what is below.
  friend Expr power_of_two(Expr a);

  /// Whether both are the same number, or the same formula: never a guess about values.
  friend constexpr bool identical(Expr a, Expr b) { return a.word_ == b.word_; }

 private:
  friend class Pool;
  explicit Expr(const FormulaPlace& place) : word_(static_cast<int64_t>(reinterpret_cast<uintptr_t>(&place) | 1)) {}
  const FormulaPlace* place() const {
    const auto address = static_cast<uintptr_t>(word_ ^ 1);
    return reinterpret_cast<const FormulaPlace*>(address);  // NOLINT(performance-no-int-to-ptr)
  }
  static Expr add_formulas(Expr a, Expr b);
  static Expr multiply_formulas(Expr a, Expr b);
  static constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  static constexpr int64_t kOverflow = kLeast + 1;

  int64_t word_ = 0;
};

Expr ceil_div(Expr a, Expr b);
Expr exact_div(Expr a, Expr b);
Expr most(Expr a, Expr b);
Expr least(Expr a, Expr b);
Expr power_of_two(Expr a);
/// ⌊a / b⌋, for b > 0.
inline Expr floor_div(Expr a, Expr b) { return ceil_div(a + 1, b) - 1; }
/// Whether a >= b for all positive values of the symbols; false where that is not certain.
bool surely_at_least(Expr a, Expr b);
constexpr bool is_one(Expr a) { return identical(a, Expr(1)); }
/// The next multiple of `step`: step · ⌈a / step⌉.
inline Expr round_up(Expr a, Expr step) { return is_one(step) ? a : step * ceil_div(a, step); }

/// A product of atoms' powers, atoms ascending, no power zero; the empty one is 1.
struct Monomial {
  std::vector<std::pair<int32_t, int32_t>> powers;  // (atom, power)
  int64_t divisor = 1;                              // D/2 is 1 · D with divisor 2; reduced with the coefficient
  auto operator<=>(const Monomial&) const = default;
};

/// A sum of monomials with their coefficients, none zero.
using Polynomial = std::map<Monomial, int64_t>;

/// What an atom stands for: a symbol, or an operation on two formulas (numbers allowed).
struct Atom {
  enum class Kind { kSymbol, kCeilDiv, kExactDiv, kMost, kLeast, kPowerOfTwo };
  Kind kind = Kind::kSymbol;
  std::string name;  // of a symbol
  Expr left;         // of an operation
  Expr right;        // 1 where the operation takes only one
};

/// The formula of an atom of such a kind; a symbol, which has no operands, is none.
Expr operate(Atom::Kind kind, Expr left, Expr right);

/// The formulas of one trace, each once, in the order they were made (an operand stands before what uses it).
/// For one thread at a time, reading included: what is asked for is worked out once and kept.
class Pool {
 public:
  Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  /// The symbol of that name; asked twice it is the same.
  Expr symbol(std::string_view name);
  /// The symbol's place in what `evaluate` takes, -1 if there is none of that name.
  int32_t symbol_index(std::string_view name) const;
  size_t symbols() const;
  size_t size() const;  // number of formulas

  const Atom& atom(int32_t index) const;
  size_t atoms() const;
  const Polynomial& polynomial(int32_t node) const;
  /// The formula of a polynomial of this pool's atoms: what `polynomial` gives, back.
  Expr formula(const Polynomial& sum);
  /// How many terms that has.
  size_t terms(int32_t node) const;

  /// Every formula's value for the symbols' values (in order of first `symbol` call; all must be > 0). A formula that
  /// passes 62 bits or leaves a rest has `Expr::kNoNumber`, and so has what uses it.
  std::vector<int64_t> evaluate(const std::vector<int64_t>& symbol_values) const;
  /// The same into a vector that is reused.
  void evaluate(const std::vector<int64_t>& symbol_values, std::vector<int64_t>& values) const;

 private:
  friend class Expr;
  friend Expr ceil_div(Expr, Expr);
  friend Expr exact_div(Expr, Expr);
  friend Expr most(Expr, Expr);
  friend Expr least(Expr, Expr);
  friend Expr power_of_two(Expr);
  friend bool surely_at_least(Expr, Expr);
  struct State;
  std::unique_ptr<State> state_;
};

/// The value of `e` given the values of its pool's formulas (from Pool::evaluate); a number is itself.
inline int64_t value_of(Expr e, const std::vector<int64_t>& values) {
  return e.is_formula() ? values[static_cast<size_t>(e.node())] : e.number();
}

/// The polynomial of any Expr: a number is its constant term.
Polynomial polynomial_of(Expr e);

}  // namespace peakmem
