// The arithmetic below a Pool: sums of monomials as flat vectors of numbered monomials.
//
// A public Polynomial is a map of vectors, pleasant to read and slow to multiply. Here each distinct monomial has a
// number, a product of two monomials is looked up, and a sum is a vector sorted by those numbers: unique for each
// polynomial, so that it can be hashed and compared.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "size/expr.h"
#include "size/hash_index.h"

namespace peakmem::sparse {

using Powers = std::vector<std::pair<int32_t, int32_t>>;  // (atom, power), atoms ascending, no power zero

/// What stands for a value that left 62 bits.
inline constexpr int64_t kPoison = Expr::kNoNumber;

/// `sum` = a + b; false if that is not a number an Expr can hold.
inline bool add(int64_t a, int64_t b, int64_t& sum) { return !__builtin_add_overflow(a, b, &sum) && Expr::fits(sum); }
/// `product` = a · b; false if that is not a number an Expr can hold.
inline bool multiply(int64_t a, int64_t b, int64_t& product) {
  return !__builtin_mul_overflow(a, b, &product) && Expr::fits(product);
}

/// A reduced quotient, the divisor positive.
struct Fraction {
  int64_t numerator = 0;
  int64_t divisor = 1;
  bool operator==(const Fraction&) const = default;
};

std::optional<Fraction> reduced(int64_t numerator, int64_t divisor);
std::optional<Fraction> add(Fraction a, Fraction b);
std::optional<Fraction> multiply(Fraction a, Fraction b);

/// One term of a sum: a coefficient, never zero, and the number of a monomial.
struct Summand {
  int32_t monomial = 0;
  Fraction coefficient;
  bool operator==(const Summand&) const = default;
};

/// A polynomial: monomials ascending by number, each once.
using Sum = std::vector<Summand>;
using SumView = std::span<const Summand>;

/// Every product of atoms' powers that occurs, numbered; number 0 is the empty product.
class Monomials {
 public:
  Monomials();
  int32_t number(Powers powers);
  const Powers& powers(int32_t monomial) const { return entries_[static_cast<size_t>(monomial)]->first; }
  size_t size() const { return entries_.size(); }
  /// The number of a · b; none if a power leaves 31 bits.
  std::optional<int32_t> product(int32_t a, int32_t b);
  /// The number of 1 / a.
  std::optional<int32_t> inverse(int32_t a);
  /// No power is negative, so the value is an integer whatever the atoms are.
  bool whole(int32_t monomial) const;

 private:
  std::map<Powers, int32_t> numbers_;
  std::vector<std::map<Powers, int32_t>::const_iterator> entries_;
  struct Product {
    uint64_t factors;  // the numbers of both
    int32_t monomial;
  };
  std::vector<Product> products_;
  HashIndex product_index_;
};

/// `sum` = a + b; false if a coefficient leaves 62 bits.
bool add(SumView a, SumView b, Sum& sum);
/// `difference` = a - b; false if a coefficient leaves 62 bits.
bool subtract(SumView a, SumView b, Sum& difference);
/// `product` = a · b, multiplied out; false if a coefficient leaves 62 bits or there are unreasonably many terms.
bool multiply(Monomials& monomials, SumView a, SumView b, Sum& product);
/// 1 / a for a single summand; none if that cannot be written.
std::optional<Summand> inverse(Monomials& monomials, const Summand& a);

uint64_t hash(SumView sum);

}  // namespace peakmem::sparse
