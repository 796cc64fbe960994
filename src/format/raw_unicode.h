// Texts as Python's raw-unicode-escape codec writes them.
#pragma once

#include <string>
#include <string_view>

namespace peakmem {

/// Latin-1 with \uXXXX and \UXXXXXXXX as UTF-8; what is no whole escape stays as it is written.
std::string from_raw_unicode_escape(std::string_view line);

}  // namespace peakmem
