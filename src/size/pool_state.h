// What a Pool holds; only for the sources that implement Pool.
#pragma once

#include <deque>

#include "size/expr.h"
#include "size/hash_index.h"
#include "size/sparse.h"

namespace peakmem {

/// An operation and its operands, as the key of its remembered result.
struct Operation {
  enum class Kind : uint32_t { kAdd, kMultiply, kCeilDiv, kExactDiv, kMost, kLeast, kPowerOfTwo };
  Kind kind;
  Expr left;
  Expr right;

  bool operator==(const Operation& other) const {
    return kind == other.kind && identical(left, other.left) && identical(right, other.right);
  }
  uint64_t hash() const {
    uint64_t state = left.key() * 0x9e3779b97f4a7c15 + static_cast<uint64_t>(kind);
    state = (state ^ state >> 29 ^ right.key()) * 0xbf58476d1ce4e5b9;
    return state ^ state >> 32;
  }
};

/// The formulas, atoms and monomials, and every operation done so far with its result.
struct Pool::State {
  /// A formula's place in `summands`, and how many atoms and monomials there were when it was made: those it can use.
  struct Node {
    size_t first = 0;
    size_t length = 0;
    uint64_t hash = 0;
    int32_t atoms = 0;
    int32_t monomials = 0;
  };
  /// An atom as a formula of its own, its place among the symbols (-1 for an operation), what is known of its value.
  struct AtomFacts {
    Expr formula;
    int32_t symbol = -1;
    bool nonnegative = false;
    bool positive = false;  // and so at least one
  };
  /// An operation done and what it gave.
  struct Known {
    Operation operation;
    Expr result;
  };
  /// Views the summands of an Expr: of a formula those in the pool, looked up anew at each use since the pool grows.
  class Summands {
   public:
    Summands(const State& state, Expr e) : state_(state), expr_(e) {
      if (e.is_number()) constant_.coefficient.numerator = e.number();
    }
    sparse::SumView view() const {
      if (expr_.is_formula()) return state_.sum(expr_.node());
      return {&constant_, constant_.coefficient.numerator == 0 ? size_t{0} : size_t{1}};
    }

   private:
    const State& state_;
    Expr expr_;
    sparse::Summand constant_;
  };

  explicit State(Pool* owner) : pool(owner) {}

  /// What the operation gives; the result is remembered, so that a second time costs a look-up.
  Expr apply(const Operation& operation);
  Expr compute(const Operation& operation);
  Expr add(Expr a, Expr b);
  Expr multiply(Expr a, Expr b);
  Expr ceil_div(Expr a, Expr b);
  Expr exact_div(Expr a, Expr b);
  Expr pick(Atom::Kind kind, Expr a, Expr b);
  Expr multiply_cancelling(Expr quotient, Expr divisor);
  Expr divide_by_sum(Expr a, Expr b);

  /// The atom as a formula, added if it is new.
  Expr atom(Atom wanted);
  /// The number or formula of a sum outside the pool; the overflow value for a constant that is no integer.
  Expr make(sparse::SumView sum);
  sparse::SumView sum(int32_t node) const {
    const Node& made = nodes[static_cast<size_t>(node)];
    return {summands.data() + made.first, made.length};
  }

  // What holds whatever the symbols' values are; false also where it is not known.
  enum class Bound { kNonnegative, kPositive };
  bool surely(Bound bound, sparse::SumView sum) const;
  bool at_least(Expr a, Expr b) const;
  bool at_least(int32_t a, int32_t b) const;
  /// Takes what outweighs a negative summand from the positive ones; false if they do not suffice.
  bool make_up_for(const sparse::Summand& negative, sparse::Sum& left) const;
  AtomFacts facts_of(const Atom& made) const;

  Pool* pool;
  std::vector<Atom> atoms;
  std::vector<AtomFacts> facts;
  std::map<std::string, int32_t, std::less<>> symbol_atoms;
  int32_t symbols = 0;
  sparse::Monomials monomials;
  std::vector<sparse::Summand> summands;
  std::vector<Node> nodes;
  std::deque<FormulaPlace> places;  // one a node; Exprs point at them
  sparse::HashIndex node_index;
  std::vector<Known> known;
  sparse::HashIndex known_index;
  std::map<int32_t, Polynomial> polynomials;  // made when asked for
};

}  // namespace peakmem
