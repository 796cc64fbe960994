// Reading formulas: what print writes as ASCII, back.
#pragma once

#include <span>
#include <string_view>

#include "size/expr.h"
#include "size/result.h"

namespace peakmem {

/// What a formula may at most be, so that a hostile one costs little: its characters, its nesting, its terms.
inline constexpr size_t kFormulaMaxText = 4096;
inline constexpr int kFormulaMaxDepth = 32;
inline constexpr size_t kFormulaMaxTerms = 1000;

/// The formula `text` says, in `pool`: + - * / ( ), ^ with a number up to 16, ceil(a/b), ceil_div(a, b), max(a, b),
/// min(a, b), pow2(a), whole numbers, and symbols that are among `known`. The Error's `field` is the place in the text,
/// as "column 3".
Result<Expr> parse_formula(std::string_view text, Pool& pool, std::span<const std::string_view> known);

}  // namespace peakmem
