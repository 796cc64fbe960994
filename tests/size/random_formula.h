// Random formulas for property tests: one recipe, cooked with integers or with symbols.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "size/expr.h"
#include "size/terms.h"

namespace peakmem::testing {

inline constexpr size_t kLeaves = 5;

/// Steps over a growing list of values: leaves first, then each step's result.
class Recipe {
 public:
  Recipe(std::mt19937& random, int steps) {
    size_t known = kLeaves;
    for (int i = 0; i < steps; ++i, ++known) {
      const auto pick = [&] { return random() % known; };
      steps_.push_back({static_cast<int>(random() % 13), pick(), pick(), static_cast<int64_t>(random() % 6) + 1});
    }
  }

  Expr cook(std::vector<Expr> values) const {
    for (const auto& [kind, left, right, constant] : steps_) {
      values.push_back(step(kind, values[left], values[right], constant));
    }
    return values.back();
  }

 private:
  struct Step {
    int kind;
    size_t left;
    size_t right;
    int64_t constant;
  };

  static Expr step(int kind, Expr a, Expr b, int64_t constant) {
    switch (kind) {
      case 0:
      case 1:
        return a + b;
      case 2:
      case 3:
        return a * b;
      case 4:
        return a - b;
      case 5:
        return ceil_div(a, b);
      case 6:
        return exact_div(a, b);
      case 7:
        return most(a, b);
      case 8:
        return least(a, b);
      case 9:
        return round_up(a, 1 << constant);
      case 12:
        return power_of_two(a);
      case 10:
        return constant * a + exact_div(b, constant);
      default:
        return exact_div(a * b * constant, b);
    }
  }

  std::vector<Step> steps_;
};

inline std::vector<Expr> symbols_of(Pool& pool) {
  std::vector<Expr> symbols;
  for (const char* name : {"B", "T", "C", "N", "L"}) symbols.push_back(pool.symbol(name));
  return symbols;
}

/// Small values with many common divisors, so that a good part of all divisions come out whole.
inline SymbolValues random_values(std::mt19937& random) {
  static constexpr int64_t kValues[] = {1, 2, 3, 4, 6, 8, 12, 24};
  SymbolValues values;
  for (size_t i = 0; i < kLeaves; ++i) values.push_back(kValues[random() % 8]);
  return values;
}

inline std::vector<Expr> numbers_of(const SymbolValues& values) { return {values.begin(), values.end()}; }

}  // namespace peakmem::testing
