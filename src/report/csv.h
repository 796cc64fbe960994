// Fields of comma-separated values (RFC 4180).
#pragma once

#include <string>

namespace peakmem {

/// In quotes, those within it doubled.
std::string csv_quoted(const std::string& text);
/// In quotes where it would be several fields else.
std::string csv_field(const std::string& text);

}  // namespace peakmem
