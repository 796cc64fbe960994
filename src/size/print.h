// Formulas as text, LaTeX and MathML.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "size/expr.h"
#include "size/terms.h"

namespace peakmem {

/// How a formula is written: 2·B·T², 2*B*T^2, 2\,B\,T^{2}, or one <math> element.
enum class Notation { kText, kAscii, kLatex, kMathml };

/// Symbol name -> the letters shown for it; a symbol without an entry is shown by its name. What stands after a first
/// `_` is an index: `N_kv` is N with kv below it in LaTeX and MathML. In LaTeX letters with a backslash are taken as
/// they are.
using Letters = std::map<std::string, std::string, std::less<>>;

/// What print may be told.
struct PrintOptions {
  Notation notation = Notation::kText;
  Letters letters;
  SymbolValues symbol_values;  // terms are ordered by their value at these, largest first; empty: by their power
};

/// The formula written out: `24·B·T·C·L + 2·B·T·⌈T/32⌉`.
std::string print(Expr formula, const PrintOptions& options = {});

}  // namespace peakmem
