// Reading what Python's pickle wrote, without ever running any of it.
#pragma once

#include <string_view>

#include "format/objects.h"
#include "size/result.h"

namespace peakmem {

/// The plain value that a pickle of protocol 0 to 5 holds (pickletools.py of Python 3.13 describes the opcodes):
/// dicts, lists, tuples and sets (all as lists), texts, bytes (as text), integers (past 63 bits as reals), reals,
/// truths, None. Whatever would import or call something is an Error, and nothing is imported or called. Costs memory
/// in proportion to `data`: what the memo shares stays shared. The Error's `field` is the place, as "byte 17".
Result<ObjectFile> parse_pickle(std::string_view data);

}  // namespace peakmem
