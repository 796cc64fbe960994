// The letters formulas are written with.
#pragma once

#include "request/options.h"
#include "size/print.h"

namespace peakmem {

/// The letters from --letters and from sizes that are symbols (--layers l). Where all of those are small letters, the
/// other symbols become small too, as far as none is taken.
Result<Letters> read_letters(const Options& asked);
/// Those of `symbols`, from --letters and what is in `letters` already.
Result<Letters> read_letters(const Options& asked, const std::vector<std::string_view>& symbols, Letters letters);

}  // namespace peakmem
