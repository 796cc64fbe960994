// Must NOT compile once PEAKMEM_MUST_NOT_COMPILE is defined: which ops run may not depend on a size's value.
#ifdef PEAKMEM_MUST_NOT_COMPILE

#include "size/expr.h"

int main() {
  peakmem::Pool pool;
  const peakmem::Expr expr = pool.symbol("T");
  if (expr < 3) return 1;
  return 0;
}

#endif
