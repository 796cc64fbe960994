// The terminal that answers are read on.
#pragma once

#include "report/page.h"

namespace peakmem::cli {

/// Its width, within what reads well, and whether it takes colours: not where output goes elsewhere, nor with NO_COLOR.
Style terminal_style();
/// The same for what has no columns of numbers, and may be as narrow as the terminal.
Style help_style();

}  // namespace peakmem::cli
