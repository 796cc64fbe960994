// The ledger as bars.
#pragma once

#include "estimate/ledger.h"
#include "report/page.h"

namespace peakmem {

/// Every category with a bar, and its largest modules.
void write_ledger(Page& page, const Report& report);

}  // namespace peakmem
