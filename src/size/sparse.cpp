#include "size/sparse.h"

#include <algorithm>
#include <numeric>

#include "size/order.h"

namespace peakmem::sparse {
namespace {

// A trace's largest sums have some dozens of terms; a product past this bound is a runaway, not a size.
constexpr size_t kMaxProducts = 1 << 16;

/// The hash of two numbers side by side.
uint64_t mixed(uint64_t numbers) {
  numbers *= 0x9E3779B97F4A7C15;
  return numbers ^ (numbers >> 32);
}

bool merge_powers(const Powers& a, const Powers& b, Powers& merged) {
  auto x = a.begin();
  auto y = b.begin();
  while (x != a.end() || y != b.end()) {
    if (y == b.end() || (x != a.end() && x->first < y->first)) {
      merged.push_back(*x++);
    } else if (x == a.end() || y->first < x->first) {
      merged.push_back(*y++);
    } else {
      int32_t power = 0;
      if (__builtin_add_overflow(x->second, y->second, &power)) return false;
      if (power != 0) merged.emplace_back(x->first, power);
      ++x, ++y;
    }
  }
  return true;
}

/// Sorts by monomial and adds up the coefficients of equal ones.
bool collect(Sum& sum) {
  sort_by(sum, [](const Summand& summand) { return summand.monomial; });
  size_t kept = 0;
  for (size_t i = 0; i < sum.size();) {
    Summand total = sum[i];
    for (++i; i < sum.size() && sum[i].monomial == total.monomial; ++i) {
      const auto added = add(total.coefficient, sum[i].coefficient);
      if (!added) return false;
      total.coefficient = *added;
    }
    if (total.coefficient.numerator != 0) sum[kept++] = total;
  }
  sum.resize(kept);
  return true;
}

}  // namespace

std::optional<Fraction> reduced(int64_t numerator, int64_t divisor) {
  if (divisor == 0 || numerator == kPoison || divisor == kPoison) return std::nullopt;
  const int64_t shared = std::gcd(numerator, divisor) * (divisor < 0 ? -1 : 1);
  return Fraction{numerator / shared, divisor / shared};
}

std::optional<Fraction> add(Fraction a, Fraction b) {
  Fraction sum;
  if (a.divisor == 1 && b.divisor == 1) {
    if (!add(a.numerator, b.numerator, sum.numerator)) return std::nullopt;
    return sum;
  }
  const int64_t shared = std::gcd(a.divisor, b.divisor);
  int64_t left = 0;
  int64_t right = 0;
  if (!multiply(a.numerator, b.divisor / shared, left) || !multiply(b.numerator, a.divisor / shared, right) ||
      !multiply(a.divisor, b.divisor / shared, sum.divisor) || !add(left, right, sum.numerator)) {
    return std::nullopt;
  }
  return reduced(sum.numerator, sum.divisor);
}

std::optional<Fraction> multiply(Fraction a, Fraction b) {
  Fraction product;
  if (a.divisor != 1 || b.divisor != 1) {  // reduce crosswise first: what is left is reduced and as small as can be
    const int64_t x = std::gcd(a.numerator, b.divisor);
    const int64_t y = std::gcd(b.numerator, a.divisor);
    a = {a.numerator / x, a.divisor / y};
    b = {b.numerator / y, b.divisor / x};
  }
  if (!multiply(a.numerator, b.numerator, product.numerator) || !multiply(a.divisor, b.divisor, product.divisor)) {
    return std::nullopt;
  }
  return product;
}

Monomials::Monomials() { number({}); }

int32_t Monomials::number(Powers powers) {
  const auto [entry, added] = numbers_.try_emplace(std::move(powers), static_cast<int32_t>(entries_.size()));
  if (added) entries_.emplace_back(entry);
  return entry->second;
}

std::optional<int32_t> Monomials::product(int32_t a, int32_t b) {
  if (a == 0) return b;
  if (b == 0) return a;
  if (a > b) std::swap(a, b);
  const uint64_t key = static_cast<uint64_t>(a) << 32 | static_cast<uint64_t>(b);
  const int32_t known =
      product_index_.find(mixed(key), [&](int32_t i) { return products_[static_cast<size_t>(i)].factors == key; });
  if (known >= 0) return products_[static_cast<size_t>(known)].monomial;
  Powers merged;
  if (!merge_powers(powers(a), powers(b), merged)) return std::nullopt;
  const int32_t result = number(std::move(merged));
  products_.push_back({key, result});
  product_index_.insert(static_cast<int32_t>(products_.size() - 1),
                        [this](int32_t i) { return mixed(products_[static_cast<size_t>(i)].factors); });
  return result;
}

std::optional<int32_t> Monomials::inverse(int32_t a) {
  Powers inverted = powers(a);
  for (auto& [atom, power] : inverted) {
    if (power == std::numeric_limits<int32_t>::min()) return std::nullopt;
    power = -power;
  }
  return number(std::move(inverted));
}

bool Monomials::whole(int32_t monomial) const {
  const Powers& all = powers(monomial);
  return std::all_of(all.begin(), all.end(), [](const auto& factor) { return factor.second > 0; });
}

bool add(SumView a, SumView b, Sum& sum) {
  sum.clear();
  auto x = a.begin();
  auto y = b.begin();
  while (x != a.end() && y != b.end()) {
    if (x->monomial != y->monomial) {
      sum.push_back(x->monomial < y->monomial ? *x++ : *y++);
      continue;
    }
    const auto coefficient = add(x->coefficient, y->coefficient);
    if (!coefficient) return false;
    if (coefficient->numerator != 0) sum.push_back({x->monomial, *coefficient});
    ++x, ++y;
  }
  sum.insert(sum.end(), x, a.end());
  sum.insert(sum.end(), y, b.end());
  return true;
}

bool subtract(SumView a, SumView b, Sum& difference) {
  Sum negated(b.begin(), b.end());
  for (Summand& summand : negated) summand.coefficient.numerator = -summand.coefficient.numerator;
  return add(a, negated, difference);
}

bool multiply(Monomials& monomials, SumView a, SumView b, Sum& product) {
  product.clear();
  if (a.size() * b.size() > kMaxProducts) return false;
  for (const Summand& x : a) {
    for (const Summand& y : b) {
      const auto monomial = monomials.product(x.monomial, y.monomial);
      const auto coefficient = multiply(x.coefficient, y.coefficient);
      if (!monomial || !coefficient) return false;
      product.push_back({*monomial, *coefficient});
    }
  }
  return collect(product);
}

std::optional<Summand> inverse(Monomials& monomials, const Summand& a) {
  const auto monomial = monomials.inverse(a.monomial);
  const auto coefficient = reduced(a.coefficient.divisor, a.coefficient.numerator);
  if (!monomial || !coefficient) return std::nullopt;
  return Summand{*monomial, *coefficient};
}

uint64_t hash(SumView sum) {
  uint64_t state = 0x9e3779b97f4a7c15;
  const auto mix = [&state](uint64_t word) {
    state = (state ^ word) * 0xff51afd7ed558ccd;
    state ^= state >> 32;
  };
  for (const Summand& summand : sum) {
    mix(static_cast<uint64_t>(summand.monomial));
    mix(static_cast<uint64_t>(summand.coefficient.numerator));
    mix(static_cast<uint64_t>(summand.coefficient.divisor));
  }
  return state;
}

}  // namespace peakmem::sparse
