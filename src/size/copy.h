// The formulas of one pool in another.
#pragma once

#include <utility>
#include <vector>

#include "size/expr.h"

namespace peakmem {

/// Copies formulas, also of a pool that still grows: only what is copied is made in the other pool, an operand before
/// what uses it, and nothing between.
class FormulaCopy {
 public:
  /// `symbols`, all of one other pool, in place of `from`'s own, in their order.
  FormulaCopy(const Pool& from, std::vector<Expr> symbols) : from_(from), symbols_(std::move(symbols)) {}

  /// A formula of `from`, or a number, which is itself.
  Expr of(Expr e);

 private:
  Expr copy(int32_t node);
  Expr atom(int32_t index);
  Expr made(const Atom& atom);

  const Pool& from_;
  std::vector<Expr> symbols_;
  std::vector<Expr> nodes_;  // 0 is not copied yet
  std::vector<Expr> atoms_;
  friend std::vector<Expr> copy_formulas(const Pool& from, const std::vector<Expr>& symbols);
};

/// Every formula of `from`, by its node.
std::vector<Expr> copy_formulas(const Pool& from, const std::vector<Expr>& symbols);

}  // namespace peakmem
