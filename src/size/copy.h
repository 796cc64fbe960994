// The formulas of one pool in another.
#pragma once

#include <vector>

#include "size/expr.h"

namespace peakmem {

/// Every formula of `from`, by its node, with `symbols` (in the order of its symbols, all of one pool) in place of its
/// own.
std::vector<Expr> copy_formulas(const Pool& from, const std::vector<Expr>& symbols);

}  // namespace peakmem
